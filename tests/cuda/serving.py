"""A model server as a process of its own, in a given environment."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import msgspec

from support.ports import free_port

START_S = 90.0


@contextlib.asynccontextmanager
async def serving(environment: dict[str, str], folder: Path, model: Path, **settings: object) -> AsyncGenerator[str]:
    """Its URL, once it is ready."""
    port = free_port()
    file = folder / "settings.json"
    file.write_bytes(msgspec.json.encode({"model": str(model), "alias": "tiny", "port": port, **settings}))
    command = [
        sys.executable,
        "-m",
        "bawn.cli",
        "model-server",
        "--settings",
        str(file),
    ]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(START_S), httpx.AsyncClient() as client:
            while not await _ready(client, url):
                if process.returncode is not None:
                    assert process.stderr is not None
                    raise AssertionError((await process.stderr.read()).decode())
                await asyncio.sleep(0.05)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def _ready(client: httpx.AsyncClient, url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await client.get(f"{url}/ready")).is_success
    return False
