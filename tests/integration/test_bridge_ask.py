"""`bawn ask`, from the question to its sources, through a bridge."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp.client import Client

from bawn.bridge.asking import Done, Event, Found, Text, ask
from bawn.bridge.local_client import BridgeUnusable
from bawn.cli.main import cli
from support.bridges import KEY, TOKEN, bridge_to
from support.gateways import CHUNK, scripted_gateway
from support.ports import free_port
from support.scripted_upstream import Die, Received, Reply, chat_chunk, chat_steps, json_reply


async def collected(question: str, url: str, **options: Any) -> list[Event]:
    async with asyncio.timeout(30):
        return [event async for event in ask(question, url=url, token=TOKEN, **options)]


async def test_found_code_stands_before_the_question_and_the_answer_streams() -> None:
    async with scripted_gateway([CHUNK]) as gateway, bridge_to(gateway.url) as bridge:
        gateway.openai.script(Reply(steps=chat_steps(["In ", "limits."])))
        found, *texts, done = await collected("where is the rate limit?", bridge.url, limit=3)
        assert isinstance(found, Found)
        assert found.chunks[0].location == "src/limits.py:10"
        assert [text.text for text in texts if isinstance(text, Text)] == ["In ", "limits."]
        assert isinstance(done, Done)
        assert done.usage is not None
        assert done.usage.completion_tokens == 3
        assert done.sources == found.chunks
        assert gateway.searches == [("where is the rate limit?", 3)]
        assert gateway.keys == {f"Bearer {KEY}"}
        sent = gateway.openai.posts[0].json
        asked = sent["messages"][-1]["content"]
        assert asked.index("src/limits.py:10-13") < asked.index("check_rate_limit") < asked.index("where is")
        assert sent["stream"] is True


async def test_without_search_only_the_question_is_sent() -> None:
    async with scripted_gateway([CHUNK]) as gateway, bridge_to(gateway.url) as bridge:
        found, *_ = await collected("what is a lease?", bridge.url, search=False)
        assert found == Found([])
        assert gateway.searches == []
        assert gateway.openai.posts[0].json["messages"][-1]["content"] == "what is a lease?"


async def test_a_prompt_that_the_model_finds_too_long_is_cut_by_its_own_count() -> None:
    big = {**CHUNK, "text": "\n".join(f"line_{i} = {i}" for i in range(400)), "end_line": 409}

    def small_model(request: Received) -> Reply:
        tokens = len(request.body) // 2  # a tokenizer that needs more than was estimated
        if tokens < 3000:
            return Reply(steps=chat_steps(["ok"]))
        return json_reply(
            {"error": {"message": "m", "code": "context_length_exceeded", "n_prompt_tokens": tokens, "n_ctx": 4000}},
            400,
        )

    async with scripted_gateway([big, big]) as gateway, bridge_to(gateway.url) as bridge:
        gateway.openai.script(small_model)
        events = await collected("q", bridge.url)
        assert events[1] == Text("ok")
        assert len(gateway.openai.posts) >= 2
        done = events[-1]
        assert isinstance(done, Done)
        assert 0 < done.sources[0].end_line < 409


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(steps=[chat_chunk({"content": "half"}), Die()]), "broke off"),
        (json_reply({"error": {"message": "The queue is full.", "code": "overloaded"}}, 429), "queue is full"),
        (Reply(steps=[b"data: nonsense\n\n", b"data: [DONE]\n\n"]), "can't be read"),
    ],
    ids=["dies", "busy", "nonsense"],
)
async def test_a_failing_answer_is_one_sentence(reply: Reply, said: str) -> None:
    async with scripted_gateway([CHUNK]) as gateway, bridge_to(gateway.url) as bridge:
        gateway.openai.script(reply)
        with pytest.raises(BridgeUnusable, match=said):
            await collected("q", bridge.url)


async def test_each_thing_that_is_missing_is_named_with_its_mend() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(BridgeUnusable, match="start it with `bawn bridge`"):
        await collected("q", nowhere)
    async with bridge_to(nowhere) as bridge:
        with pytest.raises(BridgeUnusable, match=r"gateway at .* could not be reached"):
            await collected("q", bridge.url)
    async with scripted_gateway(None) as gateway, bridge_to(gateway.url) as bridge:
        with pytest.raises(BridgeUnusable, match=r"no code index yet.*--no-search"):
            await collected("q", bridge.url)
        with pytest.raises(BridgeUnusable, match="no model nope; it offers: scripted"):
            await collected("q", bridge.url, model="nope")
        with pytest.raises(BridgeUnusable, match="token is wrong"):
            async for _ in ask("q", url=bridge.url, token="other"):
                pass
    async with scripted_gateway([CHUNK]) as gateway, bridge_to(gateway.url) as bridge:
        with pytest.raises(BridgeUnusable, match="Search failed"):
            await collected("break", bridge.url)


async def test_the_command_prints_what_was_found_then_the_answer_then_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAWN_CONFIG", str(tmp_path))
    runner = CliRunner()
    missing = await asyncio.to_thread(runner.invoke, cli, ["ask", "q"])
    assert missing.exit_code == 2
    assert "bawn bridge" in missing.stderr
    (tmp_path / "bridge.token").write_text(TOKEN, encoding="utf-8")
    async with scripted_gateway([CHUNK]) as gateway, bridge_to(gateway.url) as bridge:
        gateway.openai.script(Reply(steps=chat_steps(["It is ", "\x1b[31mthere."])))
        result = await asyncio.to_thread(runner.invoke, cli, ["ask", "where?", "--bridge", bridge.url])
    assert result.exit_code == 0, result.output
    out = result.stdout
    assert out.index("src/limits.py:10  check_rate_limit") < out.index("It is [31mthere.") < out.index("Sources:")
    assert "src/limits.py:10-13" in out[out.index("Sources:") :]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_clients_of_both_mcp_revisions_work_through_the_bridge(mode: str) -> None:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with (
        scripted_gateway([CHUNK]) as gateway,
        bridge_to(gateway.url) as bridge,
        httpx2.AsyncClient(headers={"x-api-key": TOKEN}, trust_env=False) as http,
        Client(streamable_http_client(f"{bridge.url}/mcp", http_client=http), mode=mode) as client,
    ):
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search_code"]
        result = await client.call_tool("search_code", {"query": "q"})
        assert json.loads(json.dumps(result.structured_content)) == {"chunks": [CHUNK]}
    assert gateway.keys == {f"Bearer {KEY}"}
