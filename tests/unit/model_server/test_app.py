import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bawn.model_server.engine import outbox
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import Runtime
from support import tiny_gguf
from support.engines import Steps, breaks_when, server_on
from support.until import until

CHAT = "/v1/chat/completions"
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "temperature": 0}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "alphabet.gguf", successors=tiny_gguf.ALPHABET)


@pytest.fixture
def ungathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each token goes out alone, so that steps can be held up after any."""
    monkeypatch.setattr(outbox, "GATHERED_S", 0.0)


async def events(response: httpx.Response) -> AsyncIterator[Any]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


async def metric(client: httpx.AsyncClient, name: str) -> float:
    text = (await client.get("/metrics")).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"bawn_model_{name}"))


async def seen(client: httpx.AsyncClient, name: str) -> None:
    """Wait until the metric is not 0."""
    async with asyncio.timeout(10):
        while not await metric(client, name):  # noqa: ASYNC110 - it is another process's as far as the test knows
            await asyncio.sleep(0.01)


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_stream_is_role_then_pieces_of_text_then_the_reason_the_usage_and_done(model: Path) -> None:
    async with server_on(model) as (client, _):
        body = HELLO | {"stream": True, "max_tokens": 5, "stream_options": {"include_usage": True}}
        async with client.stream("POST", CHAT, json=body) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            found = [event async for event in events(response)]
    assert found.pop() == "[DONE]"
    usage = found.pop()
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 5
    role, *pieces, last = [event["choices"][0]["delta"] for event in found]
    assert role == {"role": "assistant", "content": ""}
    assert "".join(piece["content"] for piece in pieces) == "abcde"
    assert all(piece["content"] for piece in pieces)
    assert last == {}
    assert [event["choices"][0]["finish_reason"] for event in found] == [None] * (len(found) - 1) + ["length"]


@pytest.mark.usefixtures("ungathered")
async def test_a_token_reaches_the_client_before_the_next_is_made(model: Path) -> None:
    steps = Steps(allowed=1)
    async with server_on(model, steps=steps) as (client, engine):
        async with client.stream("POST", CHAT, json=HELLO | {"stream": True, "max_tokens": 3}) as response:
            found = events(response)
            assert (await anext(found))["choices"][0]["delta"]["role"] == "assistant"
            assert (await anext(found))["choices"][0]["delta"]["content"] == "a"
            assert engine.stats.generated_tokens == 1
            steps.allow()
            assert (await anext(found))["choices"][0]["delta"]["content"] == "b"
            steps.free()
            assert [event async for event in found][-1] == "[DONE]"


@pytest.mark.usefixtures("ungathered")
async def test_after_the_client_leaves_at_most_one_more_token_is_made(model: Path) -> None:
    steps = Steps(allowed=5)
    async with server_on(model, steps=steps) as (client, engine):
        async with client.stream("POST", CHAT, json=HELLO | {"stream": True}) as response:
            found, said = events(response), ""
            while len(said) < 5:
                said += (await anext(found))["choices"][0]["delta"]["content"]
        await seen(client, "requests_total{")
        steps.allow(20)
        await until(lambda: all(slot.state == "idle" for slot in engine.slots()))
        assert engine.stats.generated_tokens <= 6
        slots = (await client.get("/slots")).json()
        assert {slot["state"] for slot in slots} == {"idle"}
        assert await metric(client, "cancelled_total") == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_while_its_prompt_is_fed_frees_the_slot(model: Path, stream: bool) -> None:
    steps = Steps(allowed=1)
    async with server_on(model, steps=steps, n_batch=32) as (client, engine):
        body = {"model": "tiny", "prompt": "x" * 1000, "stream": stream}
        asking = asyncio.create_task(client.post("/v1/completions", json=body))
        await until(lambda: engine.stats.steps == 1)
        asking.cancel()
        await seen(client, "requests_total{")
        steps.allow(50)
        await until(lambda: all(slot.state == "idle" for slot in engine.slots()))
        assert engine.stats.fed_tokens <= 64
        assert engine.stats.generated_tokens == 0


async def test_a_client_that_leaves_while_it_waits_frees_its_place_in_the_queue(model: Path) -> None:
    steps = Steps()
    async with server_on(model, steps=steps, n_slots=1, queue_size=1) as (client, engine):
        first = asyncio.create_task(client.post(CHAT, json=HELLO | {"max_tokens": 2}))
        await until(lambda: engine.slots()[0].state != "idle")
        second = asyncio.create_task(client.post(CHAT, json=HELLO))
        await until(lambda: len(engine.line) == 1)
        refused = await client.post(CHAT, json=HELLO)
        assert error_of(refused) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        second.cancel()
        await until(lambda: len(engine.line) == 0)
        steps.free()
        assert (await first).json()["choices"][0]["message"]["content"] == "ab"


async def test_64_streams_at_once_lose_nothing(model: Path) -> None:
    async with server_on(model, n_slots=8) as (client, _):

        async def read(count: int) -> str:
            body = HELLO | {"stream": True, "max_tokens": count}
            async with client.stream("POST", CHAT, json=body) as response:
                chunks = [event async for event in events(response)]
            assert chunks[-1] == "[DONE]"
            return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])

        texts = await asyncio.gather(*(read(count) for count in range(1, 65)))
    letters = "abcdefghijklmnopqrstuvwxyz" * 3
    assert list(texts) == [letters[:count] for count in range(1, 65)]


async def test_the_openai_sdk_reads_answers_streams_and_errors(model: Path) -> None:
    async with (
        server_on(model) as (client, _),
        openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as sdk,
    ):
        whole = await sdk.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "hello"}], max_completion_tokens=4, temperature=0
        )
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("abcd", "length")
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 4
        stream = await sdk.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "hello"}], stop="d", temperature=0, stream=True
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "abc"
        assert chunks[-1].choices[0].finish_reason == "stop"
        completion = await sdk.completions.create(model="tiny", prompt="x", max_tokens=2, echo=True, temperature=0)
        assert completion.choices[0].text == "xyz"
        assert [card.id for card in (await sdk.models.list()).data] == ["tiny"]
        with pytest.raises(openai.NotFoundError, match="does not exist here"):
            await sdk.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "hi"}])


async def test_a_second_turn_reports_what_was_not_fed_again(model: Path) -> None:
    async with server_on(model) as (client, _):
        first = (await client.post(CHAT, json=HELLO | {"max_tokens": 5})).json()
        messages = [
            *HELLO["messages"],
            {"role": "assistant", "content": first["choices"][0]["message"]["content"]},
            {"role": "user", "content": "go on"},
        ]
        second = (await client.post(CHAT, json=HELLO | {"messages": messages, "max_tokens": 5})).json()
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    held = first["usage"]["total_tokens"] - 1
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == held


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{not json", (400, "invalid_request")),
        (b'{"model": "tiny"}', (400, "invalid_request")),
        (b'{"model": "tiny", "messages": "hi"}', (400, "invalid_request")),
        (HELLO | {"messages": []}, (400, "invalid_request")),
        (HELLO | {"temperature": "hot"}, (400, "invalid_request")),
        (HELLO | {"temperature": -1}, (400, "invalid_request")),
        (HELLO | {"n": 17}, (400, "invalid_request")),
        (HELLO | {"logprobs": True, "top_logprobs": 21}, (400, "invalid_request")),
        (HELLO | {"tools": [{"type": "web"}]}, (400, "invalid_request")),
        (HELLO | {"tools": [{"function": {"name": ""}}]}, (400, "invalid_request")),
        (HELLO | {"tool_choice": "required"}, (400, "invalid_request")),
        (HELLO | {"tool_choice": {"type": "function", "function": {"name": "x"}}}, (400, "invalid_request")),
        (HELLO | {"tool_choice": "perhaps"}, (400, "invalid_request")),
        (HELLO | {"max_tokens": 0}, (400, "invalid_request")),
        (HELLO | {"logit_bias": {"99999": 1}}, (400, "invalid_request")),
        (HELLO | {"response_format": {"type": "yaml"}}, (400, "invalid_request")),
        (HELLO | {"response_format": {"type": "json_schema", "json_schema": {}}}, (400, "invalid_request")),
        (
            HELLO | {"response_format": {"type": "json_object", "schema": {"$ref": "http://elsewhere/"}}},
            (400, "invalid_request"),
        ),
        (HELLO | {"model": "other"}, (404, "model_not_found")),
        (HELLO | {"messages": [{"role": "user", "content": "x" * 3000}]}, (400, "context_length_exceeded")),
    ],
)
async def test_what_cannot_be_served_is_one_clear_error(
    model: Path, body: bytes | dict[str, Any], expected: tuple[int, str]
) -> None:
    async with server_on(model) as (client, _):
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await client.post(CHAT, content=sent)
        assert error_of(response) == expected


async def test_a_prompt_that_is_too_long_names_both_counts(model: Path) -> None:
    async with server_on(model) as (client, _):
        response = await client.post("/v1/completions", json={"model": "tiny", "prompt": "x" * 5000})
    error = response.json()["error"]
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (5000, 2048)
    assert "5000" in error["message"]
    assert "2048" in error["message"]


async def test_a_body_of_33_mib_is_refused(model: Path) -> None:
    async with server_on(model) as (client, _):
        response = await client.post(CHAT, content=b" " * (33 * 1024 * 1024))
        assert error_of(response) == (413, "request_too_large")


async def test_with_a_token_only_its_bearer_is_served(model: Path) -> None:
    async with server_on(model, token="right") as (client, _):
        assert (await client.get("/v1/models")).status_code == 200
        for header in ("Bearer wrong", "Bearer", "right", "Basic right", "Bearer rightö"):
            for path in ("/v1/models", "/slots", "/metrics"):
                answer = await client.get(path, headers={"authorization": header.encode()})
                assert error_of(answer) == (401, "invalid_api_key")
            answer = await client.post(CHAT, json=HELLO, headers={"authorization": header.encode()})
            assert error_of(answer) == (401, "invalid_api_key")
        assert (await client.get("/health", headers={"authorization": ""})).status_code == 200


async def test_a_model_may_answer_with_text_where_tools_are_offered(model: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    async with server_on(model) as (client, _):
        answer = await client.post(CHAT, json=HELLO | {"tools": tools, "tool_choice": "auto", "max_tokens": 3})
    assert answer.json()["choices"][0]["message"]["content"] == "abc"


async def test_without_a_chat_template_chat_says_so_and_completions_work(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", successors=tiny_gguf.ALPHABET, template=None)
    async with server_on(model) as (client, _):
        assert "no chat template" in (await client.post(CHAT, json=HELLO)).json()["error"]["message"]
        answer = await client.post(
            "/v1/completions", json={"model": "tiny", "prompt": "a", "max_tokens": 3, "top_k": 1}
        )
        assert answer.json()["choices"][0]["text"] == "bcd"


async def test_a_suffix_is_filled_in_where_the_model_has_the_tokens_for_it(tmp_path: Path, model: Path) -> None:
    middle = {tiny_gguf.FIM[2]: ord("k"), **tiny_gguf.ALPHABET}
    body = {"model": "tiny", "prompt": "def f(", "suffix": "):", "max_tokens": 3, "temperature": 0}
    async with server_on(tiny_gguf.write(tmp_path / "fim.gguf", successors=middle, fim=True)) as (client, _):
        answer = (await client.post("/v1/completions", json=body)).json()
        assert answer["choices"][0]["text"] == "klm"
        assert answer["usage"]["prompt_tokens"] == len("def f(") + len("):") + 3
        assert (await client.get("/v1/models")).json()["data"][0]["fim"] is True
    async with server_on(model) as (client, _):
        refused = await client.post("/v1/completions", json=body)
        assert error_of(refused) == (400, "invalid_request")
        assert "fill-in-the-middle" in refused.json()["error"]["message"]


async def test_embeddings_are_refused_clearly(model: Path) -> None:
    async with server_on(model) as (client, _):
        answer = await client.post("/v1/embeddings", json={"model": "tiny", "input": "x"})
        assert "does not embed" in answer.json()["error"]["message"]


async def test_health_tells_loading_then_ready(model: Path) -> None:
    loaded = threading.Event()

    def slowly(options: EngineOptions) -> Runtime:
        assert loaded.wait(20)
        return Runtime(options)

    async with server_on(model, load=slowly, wait=False) as (client, engine):
        health = await client.get("/health")
        assert (health.status_code, health.json()["state"]) == (503, "loading")
        assert (await client.get("/ready")).status_code == 503
        early = await client.post(CHAT, json=HELLO)
        assert error_of(early) == (503, "unavailable")
        assert "retry-after" in early.headers
        loaded.set()
        await engine.ready()
        health = await client.get("/health")
        assert (health.status_code, health.json()["state"]) == (200, "ready")
        assert health.json()["loop_age_s"] >= 0
        assert (await client.get("/ready")).json()["ready"] is True


async def test_an_engine_that_breaks_ends_the_stream_with_an_error_event(model: Path) -> None:
    broken = threading.Event()
    async with server_on(model, load=breaks_when(broken)) as (client, engine):
        async with client.stream("POST", CHAT, json=HELLO | {"stream": True}) as response:
            found = events(response)
            await anext(found)
            broken.set()
            last = [event async for event in found][-1]
        assert last["error"]["code"] == "internal_error"
        assert engine.state == "failed"
        assert (await client.get("/health")).status_code == 503
        assert error_of(await client.post(CHAT, json=HELLO)) == (500, "internal_error")


async def test_a_request_that_takes_too_long_is_ended_and_frees_its_slot(model: Path) -> None:
    steps = Steps(allowed=1)
    async with server_on(model, steps=steps, request_timeout_s=0.2) as (client, engine):
        response = await client.post(CHAT, json=HELLO)
        assert error_of(response) == (504, "upstream_timeout")
        steps.free()
        await until(lambda: all(slot.state == "idle" for slot in engine.slots()))


async def test_an_unknown_path_is_404_in_the_dialect(model: Path) -> None:
    async with server_on(model) as (client, _):
        assert error_of(await client.get("/v1/nothing")) == (404, "not_found")
