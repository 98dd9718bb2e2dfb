"""A model server for whose context memory is refused: the process may map so much more and not a byte more."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import shaped_gguf
from support.ports import free_port

MIB = 1 << 20
CACHE: dict[str, Any] = {"layers": 4, "embd": 64, "heads": 16, "kv_heads": 16, "length": 256, "ff": 64}
"""A KV cache of 64 KiB a token: 512 MiB for 8,192 tokens in f16, 272 in q8_0, 144 in q4_0."""

LIMITED = """
import resource, sys
import bawn.cli.model_server, bawn.model_server.server
from bawn.cli import main
mapped = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (mapped + int(sys.argv.pop(1)),) * 2)
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shaped_gguf.write(tmp_path_factory.mktemp("start") / "wide.gguf", "llama", **CACHE)


def _started(model: Path, settings: dict[str, Any], *, room_mib: int) -> subprocess.Popen[str]:
    """A model server that has `room_mib` for its context, and 160 MiB for everything else beside its model."""
    file = model.with_name("settings.json")
    of = {"model": str(model), "port": free_port(), "threads": 1, "n_gpu_layers": 0, **settings}
    file.write_text(json.dumps(of), encoding="utf-8")
    limit = model.stat().st_size + (room_mib + 160) * MIB
    return subprocess.Popen(
        [sys.executable, "-c", LIMITED, str(limit), "model-server", "--settings", str(file)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )


def _events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What it logs, up to the model's being ready or the process's end."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{"):
            told = json.loads(line)
            yield told
            if told.get("event") == "model_ready":
                return
        else:
            yield {"event": "sentence", "text": line.strip()}


def _log(model: Path, settings: dict[str, Any], *, room_mib: int) -> list[dict[str, Any]]:
    process = _started(model, settings, room_mib=room_mib)
    try:
        return [event for event in _events(process) if event["event"] != "llama_error"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _steps(log: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(event["context"], event["kv_type"]) for event in log if event["event"] == "context_fallback"]


def test_a_context_for_which_memory_is_refused_gets_a_coarser_cache_and_the_log_says_so(model: Path) -> None:
    log = _log(model, {}, room_mib=272)
    assert _steps(log) == [(8192, "q8_0")]
    fallback = next(event for event in log if event["event"] == "context_fallback")
    assert (fallback["refused_context"], fallback["refused_kv_type"], fallback["level"]) == (8192, "f16", "warning")
    assert log[-1]["event"] == "model_ready"
    assert log[-1]["context"] == 8192


def test_with_a_cache_that_is_set_the_context_is_halved(model: Path) -> None:
    log = _log(model, {"kv_type": "f16"}, room_mib=256)
    assert _steps(log) == [(4096, "f16")]
    assert (log[-1]["event"], log[-1]["context"]) == ("model_ready", 4096)


def test_a_context_that_is_set_and_can_not_be_had_ends_the_server_with_one_sentence(model: Path) -> None:
    settings = {"n_ctx": 1 << 20, "kv_type": "q8_0"}
    process = _started(model, settings, room_mib=272)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    sentence = told.strip().splitlines()[-1]
    assert sentence.startswith(
        "bawn: n_ctx: is 1048576, and there is no memory for a context of 1048576 tokens with a KV cache of q8_0; "
        "lower it, or set a coarser kv_type. llama.cpp says: "
    )
    assert "context_fallback" not in told


def test_where_not_even_the_least_context_fits_the_sentence_says_so(model: Path) -> None:
    log = _log(model, {"kv_type": "f16"}, room_mib=0)
    assert _steps(log) == [(4096, "f16")]
    assert log[-1]["text"].startswith(
        "bawn: There is no memory even for a context of 4096 tokens with a KV cache of f16: free some, or take a "
        "smaller model or quantisation. llama.cpp says: "
    )
