"""`bawn model-server` with a model that embeds: its start, its end, and what can't work."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from bawn.cli.main import cli
from bawn.model_server.embedding.runtime import EmbeddingRuntime, Tokens
from bawn.model_server.embedding.vectors import Vectors
from bawn.model_server.engine.runtime import EngineFault
from bawn.model_server.server import run
from bawn.model_server.settings import ModelServerSettings
from support import tiny_embedder, tiny_gguf
from support.ports import free_port


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "text.gguf", successors=tiny_gguf.ALPHABET)


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    return tiny_embedder.write(tmp_path / "mini.gguf")


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def process_of(settings: Path, env: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    port = free_port()
    command = [sys.executable, "-c", "from bawn.cli import main; main()", "model-server", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        *command, "--settings", str(settings), stderr=asyncio.subprocess.PIPE, env={**os.environ, **env}
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_process_serves_both_and_tells_systemd_when_both_are_ready(
    text: Path, embedder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "model.toml"
    settings.write_text(f'model = "{text}"\nembedding_model = "{embedder}"\nembedding_ctx = 64\n', encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(30)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        async with process_of(settings, env) as (process, url):
            assert [await asyncio.to_thread(heard.recv, 100) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                answer = await client.post("/v1/embeddings", json={"model": "mini", "input": ["a", "b"]})
                assert len(answer.json()["data"]) == 2
                body = {"model": "text", "prompt": "a", "max_tokens": 3, "temperature": 0}
                assert (await client.post("/v1/completions", json=body)).json()["choices"][0]["text"] == "bcd"
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                _, errors = await process.communicate()
    lines = [json.loads(line) for line in errors.decode().splitlines()]
    assert process.returncode == 0
    assert {line["level"] for line in lines} == {"info"}
    events = [line["event"] for line in lines]
    assert events.index("embedding_ready") < events.index("model_ready")
    told = next(line for line in lines if line["event"] == "embedding_ready")
    assert (told["context"], told["width"]) == (64, tiny_embedder.SIZE)


@pytest.mark.parametrize("both", [True, False])
async def test_an_embedding_engine_that_breaks_ends_the_process_with_a_clear_last_line(
    text: Path, embedder: Path, both: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()

    class Breaking(EmbeddingRuntime):
        def embed(self, inputs: Sequence[Tokens]) -> Vectors:
            if broken.is_set():
                raise EngineFault("computing embeddings returned -3")
            return super().embed(inputs)

    models: dict[str, Any] = (
        {"model": str(text), "embedding_model": str(embedder)} if both else {"model": str(embedder)}
    )
    settings = ModelServerSettings(port=free_port(), threads=1, speculation="off", **models)
    with caplog.at_level(logging.INFO, "bawn"):
        serving = asyncio.create_task(run(settings, load_embedding=Breaking))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", timeout=20) as client:
            await ready(client)
            broken.set()
            answer = await client.post("/v1/embeddings", json={"model": "mini", "input": "hi"})
            assert answer.status_code == 500
        async with asyncio.timeout(20):
            assert await serving == 1
    assert caplog.messages[-1] == "engine_failed"
    assert caplog.records[-1].fields == {"reason": "computing embeddings returned -3"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('model = "{0}/text.gguf"\nembedding_model = "{0}/none.gguf"', "none.gguf: the model can't be read"),
        (
            'model = "{0}/text.gguf"\nembedding_model = "{0}/broken.gguf"',
            "broken.gguf: llama.cpp can't load this model",
        ),
        ('model = "{0}/text.gguf"\nembedding_model = "{0}/text.gguf"\nalias = "a"', "this model does not embed"),
        ('model = "{0}/mini.gguf"\nembedding_model = "{0}/mini.gguf"', "embeds, as embedding_model does"),
        (
            'model = "{0}/text.gguf"\nembedding_model = "{0}/mini.gguf"\nalias = "mini"',
            "embedding_alias: both models would be served as mini",
        ),
        ('embedding_model = "{0}/mini.gguf"\nembedding_ctx = 513', "embedding_ctx: is 513, and mini.gguf was trained"),
        ('embedding_model = "{0}/mini.gguf"\nembedding_ctx = -1', "embedding_ctx: is -1, and must be at least 0."),
        ('embedding_alias = "x"', "No model is named: give --model FILE.gguf"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_exit_status_2(
    text: Path, embedder: Path, tmp_path: Path, settings: str, says: str
) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03\x00\x00\x00 broken")
    file = tmp_path / "model.toml"
    file.write_text(settings.format(tmp_path), encoding="utf-8")
    result = CliRunner().invoke(cli, ["model-server", "--port", str(free_port()), "--settings", str(file)])
    assert result.exit_code == 2, result.output
    [line] = [line for line in result.stderr.splitlines() if line.startswith("bawn: ")]
    assert says in line


def test_check_takes_a_model_that_embeds_alone_and_beside_another(text: Path, embedder: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.toml"
    for settings in (f'embedding_model = "{embedder}"', f'model = "{embedder}"', f'model = "{text}"'):
        file.write_text(settings, encoding="utf-8")
        result = CliRunner().invoke(cli, ["model-server", "--settings", str(file), "--check"])
        assert (result.exit_code, result.stdout) == (0, "These settings can work.\n")
