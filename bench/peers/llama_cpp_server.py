"""llama.cpp's own HTTP server, out of the wheel `xllamacpp`: `python llama_cpp_server.py SETTINGS.json`.

All that is not set here is llama.cpp's default: batches of 2,048 tokens, 32 checkpoints.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import xllamacpp


def main() -> None:
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # Blocked before the server starts its threads, so that none of them takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.port = settings["port"]
    params.n_ctx = settings["n_ctx"]
    params.n_parallel = settings["n_slots"]
    params.kv_unified = True  # as llama-server itself has it unless told otherwise, and as ours has it
    params.cache_ram_mib = settings["cache_mib"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = settings["n_gpu_layers"]
    params.fit_params = False  # the context is to be the one that was asked for
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    print(server.listening_address, xllamacpp.get_system_info(), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
