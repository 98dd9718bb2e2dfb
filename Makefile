# bawn: `make demo` shows the whole chain on this machine, `make test` tests it.
PYTHON ?= python3
BIN := python/.venv/bin
PORTS ?= 8000 8700 8080
ARGS ?=
WORKERS ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-units test-tailnet test-nix test-cuda bench-model bench-search golden lint format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo
	@echo 'BAWN_MODEL=/path/to.gguf uses another model than the embedded one.'
	@echo 'PORTS="8000 8700 8080" are those of model server, gateway and bridge for make up.'

setup: ## bring uv where it is missing, and install what uv.lock names
	@$(PYTHON) python/bootstrap.py

demo: setup ## run the whole chain once: index this repository, ask, complete, measure
	@$(BIN)/bawn demo $(ARGS)

up: ## keep the chain running until Ctrl-C
	@$(PYTHON) python/bootstrap.py --ports $(PORTS)
	@exec $(BIN)/bawn up --ports $(PORTS) $(ARGS)

test: setup ## every test; says which this machine could not run
	@cd tests && ../$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope $(ARGS)

test-units: setup ## of them, the hosts' units under a real systemd: needs root, systemd-container and mmdebstrap
	@cd tests && ../$(BIN)/python -m pytest units $(ARGS)

test-tailnet: setup ## of them, the same hosts on a real tailnet: needs Go, too
	@cd tests && ../$(BIN)/python -m pytest tailnet $(ARGS)

test-nix: setup ## of them, the flake, evaluated; Nix comes from Debian where it is missing
	@cd tests && ../$(BIN)/python -m pytest nix $(ARGS)

test-cuda: setup ## compile llama.cpp with CUDA (40 minutes, once), read it, and see it refuse or use the GPU
	@cd tests && nice -n 19 ../$(BIN)/python -m cuda.build && ../$(BIN)/python -m pytest -s cuda $(ARGS)

bench-model: setup ## the model server beside its peers: bench/results/model.json, docs/benchmarks.md (half an hour)
	@$(BIN)/python -m bench.model $(ARGS)

bench-search: setup ## code search beside its peers: bench/results/search.json, docs/benchmarks.md (2 hours)
	@PYTHONPATH=tests $(BIN)/python -m bench.search $(ARGS)

golden: setup ## write the golden unit texts and docs/options.md anew, from the evaluated flake
	@cd tests && PYTHONPATH=. ../$(BIN)/python nix/write_golden.py

lint: setup ## ruff and pyright
	@cd python && .venv/bin/ruff check . ../tests ../bench
	@cd python && .venv/bin/ruff format --check . ../tests ../bench
	@cd python && .venv/bin/pyright

format: setup ## ruff format
	@cd python && .venv/bin/ruff check --fix . ../tests ../bench
	@cd python && .venv/bin/ruff format . ../tests ../bench

clean: ## remove what the targets above made, the compiled packages included
	rm -rf python/.venv .bawn
