"""The gateway's OpenAI surfaces, with real clients and a real upstream."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from support.gateway import RunningGateway, running_gateway
from support.scripted_upstream import (
    DONE,
    Reply,
    chat_chunk,
    chat_steps,
    json_reply,
    scripted_upstream,
    tool_call_steps,
)

MESSAGES: Any = [{"role": "user", "content": "hi"}]
ASK = {"model": "scripted", "messages": MESSAGES}
TOOLS: Any = [{"type": "function", "function": {"name": "search_code", "parameters": {"type": "object"}}}]


def _sdk(gateway: RunningGateway, key: str | None = None) -> openai.AsyncOpenAI:
    http = httpx.AsyncClient(trust_env=False, timeout=20)
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key or gateway.key, max_retries=0, http_client=http)


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_a_chat_streams_through_byte_for_byte():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        answer = await gateway.client.post("/v1/chat/completions", json={**ASK, "stream": True})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.content == b"".join(s for s in chat_steps(["Hello", " from", " here."]) if isinstance(s, bytes))


async def test_the_first_chunk_arrives_before_the_last_one_is_made():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        go_on = asyncio.Event()
        up.script(Reply(steps=[chat_chunk({"content": "one"}), go_on, chat_chunk({"content": "two"}), DONE]))
        async with gateway.client.stream("POST", "/v1/chat/completions", json={**ASK, "stream": True}) as answer:
            lines = answer.aiter_lines()
            assert "one" in await anext(lines)
            go_on.set()
            assert "two" in "".join([line async for line in lines])


async def test_the_openai_sdk_streams_and_gets_tool_calls_through_the_gateway():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway, _sdk(gateway) as client:
        stream = await client.chat.completions.create(model="scripted", messages=MESSAGES, stream=True)
        text = [c.choices[0].delta.content or "" async for c in stream if c.choices]
        assert "".join(text) == "Hello from here."

        up.script(Reply(steps=tool_call_steps("search_code", {"query": "retry"})))
        stream = await client.chat.completions.create(
            model="scripted", messages=MESSAGES, tools=TOOLS, tool_choice="auto", stream=True
        )
        deltas = [c.choices[0].delta async for c in stream]
        calls = [call for delta in deltas for call in delta.tool_calls or []]
        assert [c.function.name for c in calls if c.function and c.function.name] == ["search_code"]
        assert json.loads("".join(c.function.arguments or "" for c in calls if c.function)) == {"query": "retry"}
        assert up.posts[-1].json["tools"] == TOOLS
        assert up.posts[-1].json["tool_choice"] == "auto"


async def test_the_openai_sdk_raises_the_right_errors():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway, _sdk(gateway) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="typo", messages=MESSAGES)
        assert missing.value.code == "model_not_found"
        assert "scripted" in missing.value.message
        too_long = {
            "error": {"message": "too long", "code": "context_length_exceeded", "type": "invalid_request_error"}
        }
        up.script(json_reply(too_long, 400))
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="scripted", messages=MESSAGES, stream=True)
        assert refused.value.code == "context_length_exceeded"
        up.script(Reply(steps=[chat_chunk({"content": "half"})], raw_tail=b"40\r\ndata: {"))
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in await client.chat.completions.create(model="scripted", messages=MESSAGES, stream=True):
                pass
        async with _sdk(gateway, "bawn_0123456789_wrong") as stranger:
            with pytest.raises(openai.AuthenticationError):
                await stranger.models.list()


async def test_the_openai_sdk_lists_models_and_makes_embeddings():
    async with scripted_upstream() as up, running_gateway(up.url, aliases={"default": "scripted"}) as gateway:
        async with _sdk(gateway) as client:
            await gateway.until_ready()
            assert [m.id async for m in await client.models.list()] == ["default", "scripted"]
            assert (await client.models.retrieve("default")).id == "default"
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("no/such")
            made = await client.embeddings.create(model="scripted", input="x", encoding_format="float")
            assert made.data[0].embedding == [0.5]


async def test_models_tell_context_and_fim_as_far_as_upstreams_do():
    models = [
        {"id": "ours", "context_length": 8192, "fim": True},
        {"id": "vllm", "max_model_len": 4096},
        {"id": "llama", "meta": {"n_ctx_train": 2048}},
        {"id": "plain"},
    ]
    async with scripted_upstream() as up:
        up.handle(lambda r: json_reply({"data": models} if r.path == "/v1/models" else {}))
        async with running_gateway(up.url) as gateway:
            await gateway.until_ready()
            cards = {m["id"]: m for m in (await gateway.client.get("/v1/models")).json()["data"]}
            assert cards["ours"]["context_length"] == 8192
            assert cards["ours"]["fim"] is True
            assert cards["vllm"]["context_length"] == 4096
            assert cards["llama"]["context_length"] == 2048
            assert "context_length" not in cards["plain"]


async def test_a_completion_passes_its_suffix_on():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        body = {"model": "scripted", "prompt": "a", "suffix": "z"}
        answer = await gateway.client.post("/v1/completions", json=body)
        assert answer.json()["choices"][0]["text"] == "middle"
        assert up.posts[-1].path == "/v1/completions"
        assert up.posts[-1].json == body


async def test_fill_in_the_middle_streams_deltas():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        body = {"model": "scripted", "prompt": "a", "suffix": "z", "stream": True}
        answer = await gateway.client.post("/v1/fim/completions", json=body)
        events = _events(answer.text)
        assert [e["choices"][0]["delta"]["content"] for e in events] == ["mid", "dle", ""]
        assert {e["object"] for e in events} == {"chat.completion.chunk"}
        assert answer.text.endswith("data: [DONE]\n\n")
        assert up.posts[-1].path == "/v1/completions"
        assert up.posts[-1].json == body


async def test_fill_in_the_middle_answers_with_a_message():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        answer = await gateway.client.post("/v1/fim/completions", json={"model": "scripted", "prompt": "a"})
        assert answer.json()["choices"][0]["message"] == {"role": "assistant", "content": "middle"}
        up.script(json_reply({"error": {"message": "no FIM tokens"}}, 400))
        answer = await gateway.client.post("/v1/fim/completions", json={"model": "scripted", "prompt": "a"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no FIM tokens")


async def test_an_alias_is_replaced_and_the_rest_of_the_body_kept():
    async with scripted_upstream() as up, running_gateway(up.url, aliases={"default": "scripted"}) as gateway:
        body = b'{"model":"default", "messages": [], "temperature": 1.50, "odd": 12345678901234567890123}'
        answer = await gateway.client.post("/v1/chat/completions", content=body)
        assert answer.status_code == 200
        assert up.posts[-1].json == {**json.loads(body), "model": "scripted"}
        assert b"1.50" in up.posts[-1].body
        assert b"12345678901234567890123" in up.posts[-1].body


async def test_the_upstream_gets_its_own_token_and_no_header_that_is_not_allowed(tmp_path):
    (tmp_path / "token").write_text("upstream-token\n")
    async with scripted_upstream() as up:
        upstreams = [{"name": "gpu", "url": up.url, "token_file": str(tmp_path / "token")}]
        async with running_gateway(upstreams=upstreams) as gateway:
            sent = {"x-session-id": "s1", "x-request-id": "r1", "x-api-key": gateway.key, "cookie": "a=b", "x-odd": "1"}
            await gateway.client.post("/v1/chat/completions", json=ASK, headers=sent)
            got = up.posts[-1].headers
            assert got["authorization"] == "Bearer upstream-token"
            assert (got["x-session-id"], got["x-request-id"]) == ("s1", "r1")
            assert not {"x-api-key", "cookie", "x-odd", "user-agent"} & set(got)
            assert gateway.key not in str(got)


async def test_surfaces_that_are_not_served_say_which_are():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        for path in ("/v1/responses", "/v1/messages", "/v1/audio/speech"):
            answer = await gateway.client.post(path, json={})
            assert answer.status_code == 404
            assert "/v1/chat/completions" in answer.json()["error"]["message"]
        assert (await gateway.client.get("/v1/chat/completions")).status_code == 405


async def test_sixty_four_streams_at_once_lose_nothing():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        every_stream_runs = asyncio.Event()

        def reply(request: Any) -> Reply:
            name = request.json["messages"][0]["content"]
            steps = chat_steps([f"{name}:{n} " for n in range(50)])
            if len(up.posts) == 64:
                every_stream_runs.set()
            return Reply(steps=[steps[0], every_stream_runs, *steps[1:]])

        up.script(reply)

        async def ask(name: str) -> str:
            body = {"model": "scripted", "messages": [{"role": "user", "content": name}], "stream": True}
            answer = await gateway.client.post("/v1/chat/completions", json=body)
            return "".join(e["choices"][0]["delta"].get("content", "") for e in _events(answer.text) if e["choices"])

        answers = await asyncio.gather(*(ask(f"s{n}") for n in range(64)))
        assert answers == ["".join(f"s{n}:{i} " for i in range(50)) for n in range(64)]


async def test_a_client_that_leaves_is_noticed_upstream():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        up.script(Reply(steps=[chat_chunk({"content": "one"}), asyncio.Event()]))
        async with gateway.client.stream("POST", "/v1/chat/completions", json={**ASK, "stream": True}) as answer:
            await anext(answer.aiter_lines())
        async with asyncio.timeout(10):
            await up.posts[-1].client_left.wait()
