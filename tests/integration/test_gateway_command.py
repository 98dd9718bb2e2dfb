"""`bawn gateway` and `bawn keys` as processes."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.ports import free_port
from support.scripted_upstream import DONE, Reply, chat_chunk, scripted_upstream
from support.until import until, until_async

BAWN = (sys.executable, "-c", "from bawn.cli import main; main()")


def _bawn(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BAWN, *arguments], capture_output=True, text=True, timeout=60, check=False, **more)


def _settings(folder: Path, **data: Any) -> str:
    file = folder / "gateway.json"
    upstreams = [{"name": "gpu", "url": "http://127.0.0.1:1", "models": ["coder"]}]
    file.write_text(json.dumps({"upstreams": upstreams, "keys_file": str(folder / "keys.json"), **data}))
    return str(file)


def test_check_says_what_is_good(tmp_path: Path):
    done = _bawn("gateway", "--check", _settings(tmp_path, aliases={"default": "coder"}))
    assert (done.returncode, done.stderr) == (0, "")
    assert "upstreams: gpu; aliases: 1" in done.stdout


def test_check_says_everything_that_is_wrong(tmp_path: Path):
    done = _bawn("gateway", "--check", _settings(tmp_path, port=0, aliases={"default": "typo"}))
    assert done.returncode == 2
    assert [line.partition(": ")[2].partition(":")[0] for line in done.stderr.splitlines()] == [
        "port",
        "aliases.default",
    ]
    assert _bawn("gateway", "--check", str(tmp_path / "nope.toml")).returncode == 2
    assert "Traceback" not in _bawn("gateway", "--check", _settings(tmp_path, prot=1)).stderr


def test_a_port_in_use_is_one_sentence(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _bawn("gateway", "--settings", _settings(tmp_path, port=port))
    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_are_made_listed_and_revoked(tmp_path: Path):
    keys = ("--keys", str(tmp_path / "keys.json"))
    added = _bawn("keys", "add", "ada", *keys)
    text = added.stdout.strip()
    key_id, secret = text.split("_", 2)[1:]
    assert secret not in added.stderr
    listed = _bawn("keys", "list", *keys)
    assert key_id in listed.stdout
    assert "ada" in listed.stdout
    assert secret not in listed.stdout + listed.stderr
    assert _bawn("keys", "revoke", key_id, *keys).returncode == 0
    assert _bawn("keys", "list", *keys).stdout == ""
    again = _bawn("keys", "revoke", key_id, *keys)
    assert again.returncode == 2
    assert key_id in again.stderr


def test_keys_lie_in_the_state_directory_by_default(tmp_path: Path):
    env = {"BAWN_STATE": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"}
    assert _bawn("keys", "add", "ada", env=env).returncode == 0
    assert (tmp_path / "state" / "keys.json").is_file()


@contextlib.asynccontextmanager
async def _process(folder: Path, **data: Any) -> AsyncGenerator[tuple[asyncio.subprocess.Process, Path]]:
    log = folder / "stderr"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *BAWN, "gateway", "--settings", _settings(folder, **data), stderr=stderr
        )
        try:
            yield process, log
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _listening(client: httpx.AsyncClient) -> None:
    async def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get("/health")).status_code == 200
        return False

    await until_async(answers)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_lets_streams_end_and_leaves_no_content_behind(tmp_path: Path, signum: signal.Signals):
    port = free_port()
    key = _bawn("keys", "add", "ada", "--keys", str(tmp_path / "keys.json")).stdout.strip()
    async with scripted_upstream() as up:
        upstreams = [{"name": "gpu", "url": up.url, "models": ["scripted"]}]
        async with _process(tmp_path, port=port, upstreams=upstreams) as (process, log):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                await _listening(client)
                go_on = asyncio.Event()
                up.script(
                    Reply(steps=[chat_chunk({"content": "CANARY-1"}), go_on, chat_chunk({"content": "two"}), DONE])
                )
                body = {"model": "scripted", "messages": [{"role": "user", "content": "CANARY-2"}], "stream": True}
                headers = {"authorization": f"Bearer {key}"}
                async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
                    lines = answer.aiter_lines()
                    assert "CANARY-1" in await anext(lines)
                    process.send_signal(signum)
                    await until(lambda: '"event":"stopping"' in log.read_text())
                    go_on.set()
                    rest = "".join([line async for line in lines])
                assert "two" in rest
                assert rest.endswith("data: [DONE]")
            async with asyncio.timeout(20):
                assert await process.wait() == 0
        written = log.read_text()
    assert all(json.loads(line)["event"] for line in written.splitlines())
    assert '"mode":"key","note":"the API key alone counts, from wherever this port is reachable"' in written
    assert '"people":"every key may use everything"' in written
    assert '"event":"stopped"' in written
    assert "CANARY" not in written
    assert key not in written
