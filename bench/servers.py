"""Starts and stops model servers as processes: ours, and its peers, with the same settings."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

import aiohttp
import msgspec

from bawn.model_server.settings import ModelServerSettings
from bench.peers.environment import ROOT, native_server, peers_python
from bench.ports import free_port

ALIAS: Final = "bench"
_PEERS: Final = ROOT / "bench" / "peers"
_START_S: Final = 180.0
_STOP_S: Final = 60.0

Dialect = Literal["bawn", "llama.cpp", "llama-cpp-python"]


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What all servers of a comparison are started with."""

    model: Path
    n_ctx: int
    """Tokens of the cache, shared by all slots."""
    n_slots: int
    threads: int
    cache_mib: int = 8192
    """Host memory for beginnings of prompts; llama.cpp's own default."""
    n_gpu_layers: int = 0
    speculation: Literal["auto", "off"] = "auto"
    """Ours alone."""
    state_dir: str = ""
    """Ours alone: where it keeps its cache while it does not run."""


class NotStarted(Exception):
    """A server can't be started; the text says why."""


class Server(msgspec.Struct, frozen=True):
    """One that runs."""

    dialect: Dialect
    url: str
    process: subprocess.Popen[bytes]
    note: str = ""
    """What differs from what was asked for."""


def our_settings(serving: Serving, port: int) -> tuple[dict[str, Any], list[str]]:
    """The settings file of our server, and the keys that this version of it doesn't know, which are left out."""
    settings: dict[str, Any] = {
        "model": str(serving.model),
        "alias": ALIAS,
        "host": "127.0.0.1",
        "port": port,
        "n_ctx": serving.n_ctx,
        "n_slots": serving.n_slots,
        "threads": serving.threads,
        "n_gpu_layers": serving.n_gpu_layers,
        "kv_type": "f16",
        "cache_mib": serving.cache_mib,
        "speculation": serving.speculation,
        "drain_s": 5.0,
    }
    if serving.state_dir:
        settings["state_dir"] = serving.state_dir
    unknown = sorted(settings.keys() - set(ModelServerSettings.__struct_fields__))
    return {key: value for key, value in settings.items() if key not in unknown}, unknown


@contextlib.asynccontextmanager
async def ours(serving: Serving) -> AsyncGenerator[Server]:
    """Our model server.

    Raises:
        NotStarted: it ended, or was not ready in time.
    """
    port = free_port()
    settings, unknown = our_settings(serving, port)
    note = f"this version knows no {', no '.join(unknown)}" if unknown else ""
    with tempfile.TemporaryDirectory(prefix="bawn-bench-") as folder:
        file = Path(folder) / "model-server.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", "bawn.cli", "model-server", "--settings", str(file)]
        async with _running("bawn", command, port, "/health", Path(folder), note) as server:
            yield server


@contextlib.asynccontextmanager
async def llama_cpp(serving: Serving) -> AsyncGenerator[Server]:
    """llama.cpp's own server, from the wheel or, where `LLAMA_SERVER` names one, another.

    Raises:
        NotStarted: it is not installed, ended, or was not ready in time.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bawn-bench-") as folder:
        if native_server():
            command = _native(serving, port)
        else:
            file = Path(folder) / "settings.json"
            names = ("n_ctx", "n_slots", "threads", "cache_mib", "n_gpu_layers")
            settings = {"model": str(serving.model), "port": port, **{name: getattr(serving, name) for name in names}}
            file.write_text(json.dumps(settings), encoding="utf-8")
            command = [_python(), str(_PEERS / "llama_cpp_server.py"), str(file)]
        async with _running("llama.cpp", command, port, "/health", Path(folder)) as server:
            yield server


def _native(serving: Serving, port: int) -> list[str]:
    options = {
        "--model": serving.model,
        "--port": port,
        "--ctx-size": serving.n_ctx,
        "--parallel": serving.n_slots,
        "--threads": serving.threads,
        "--threads-batch": serving.threads,
        "--cache-ram": serving.cache_mib,
        "--n-gpu-layers": serving.n_gpu_layers,
        "--fit": "off",
    }
    pairs = [str(part) for pair in options.items() for part in pair]
    return [native_server(), *pairs, "--kv-unified", "--metrics", "--slots", "--no-webui"]


@contextlib.asynccontextmanager
async def llama_cpp_python(serving: Serving) -> AsyncGenerator[Server]:
    """llama-cpp-python's own server; it takes one request at a time.

    Raises:
        NotStarted: it is not installed, ended, or was not ready in time.
    """
    port = free_port()
    options = {
        "--model": serving.model,
        "--model_alias": ALIAS,
        "--port": port,
        "--n_ctx": serving.n_ctx,
        "--n_threads": serving.threads,
        "--n_threads_batch": serving.threads,
        "--n_gpu_layers": serving.n_gpu_layers,
        "--interrupt_requests": False,  # else each request ends the one before
        "--verbose": False,
    }
    pairs = [str(part) for pair in options.items() for part in pair]
    script = [str(_PEERS / "llama_cpp_python_server.py"), sysconfig.get_path("purelib")]
    with tempfile.TemporaryDirectory(prefix="bawn-bench-") as folder:
        command = [_python(), *script, *pairs]
        async with _running("llama-cpp-python", command, port, "/v1/models", Path(folder)) as server:
            yield server


START: Final[dict[Dialect, Callable[[Serving], contextlib.AbstractAsyncContextManager[Server]]]] = {
    "bawn": ours,
    "llama.cpp": llama_cpp,
    "llama-cpp-python": llama_cpp_python,
}


def _python() -> str:
    found = peers_python("model")
    if isinstance(found, str):
        raise NotStarted(found)
    return str(found)


@contextlib.asynccontextmanager
async def _running(
    dialect: Dialect, command: Sequence[str], port: int, ready: str, folder: Path, note: str = ""
) -> AsyncGenerator[Server]:
    log = folder / "log"
    try:
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: ASYNC220 - forks once, while nothing else runs
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT, start_new_session=True
            )
    except OSError as error:
        raise NotStarted(f"{command[0]} can't be run: {error.strerror}") from error
    try:
        url = f"http://127.0.0.1:{port}"
        await _ready(process, f"{url}{ready}", log)
        yield Server(dialect, url, process, note)
    finally:
        await _stop(process)


async def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = monotonic() + _START_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while monotonic() < until:
            if process.poll() is not None:
                raise NotStarted(f"it ended with status {process.returncode}: {_last_words(log)}")
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise NotStarted(f"it was not ready within {_START_S:g} s: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it said nothing"


async def _stop(process: subprocess.Popen[bytes]) -> None:
    for way in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, way)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, _STOP_S)
