"""The search tool as an assistant calls it: MCP over HTTP, at a gateway that runs as a process of its own."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from time import monotonic, perf_counter
from typing import Final

import httpx
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from bench.ports import free_port
from bench.search.engines.engine import NotMeasured
from bench.search.timing import LIMIT

_START_S: Final = 60.0
_STOP_S: Final = 30.0
_POLL_S: Final = 0.1
_NOBODY: Final = "http://127.0.0.1:9"


def called(index_dir: Path, folder: Path, questions: Sequence[str], warm_up: Sequence[str]) -> list[float]:
    """Milliseconds of each call of `search_code`, one after the other.

    Raises:
        NotMeasured: the gateway doesn't come up, or a call fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_called(index_dir, folder, questions, warm_up))


async def _called(index_dir: Path, folder: Path, questions: Sequence[str], warm_up: Sequence[str]) -> list[float]:
    async with _gateway(index_dir, folder) as (url, key):
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=60) as http:
            async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
                for question in warm_up:
                    await _call(client, question)
                return [await _call(client, question) for question in questions]


async def _call(client: Client, question: str) -> float:
    started = perf_counter()
    result = await client.call_tool("search_code", {"query": question, "limit": LIMIT})
    took = 1000 * (perf_counter() - started)
    if result.is_error:
        raise NotMeasured("the gateway's tool failed")
    return took


@contextlib.asynccontextmanager
async def _gateway(index_dir: Path, folder: Path) -> AsyncGenerator[tuple[str, str]]:
    """The URL of a gateway over an index, and a key for it."""
    port, keys, settings = free_port(), folder / "keys.json", folder / "gateway.json"
    bawn = [sys.executable, "-m", "bawn.cli"]
    made = await asyncio.to_thread(
        subprocess.run, [*bawn, "keys", "add", "bench", "--keys", str(keys)],
        capture_output=True, text=True, check=True, timeout=_START_S,
    )  # fmt: skip
    told = {
        "port": port,
        "upstreams": [{"name": "nobody", "url": _NOBODY}],
        "keys_file": str(keys),
        "index_dir": str(index_dir),
    }
    settings.write_text(json.dumps(told), encoding="utf-8")
    log = folder / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - forks once, while nothing else runs
            [*bawn, "gateway", "--settings", str(settings)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await _up(process, url)
        yield url, made.stdout.strip()
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


async def _up(process: subprocess.Popen[bytes], url: str) -> None:
    until = monotonic() + _START_S
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while monotonic() < until:
            if process.poll() is not None:
                raise NotMeasured(f"the gateway ended with status {process.returncode}")
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"{url}/health")).status_code == 200:
                    return
            await asyncio.sleep(_POLL_S)
    raise NotMeasured(f"the gateway was not ready within {_START_S:g} s")
