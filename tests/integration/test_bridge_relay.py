"""What passes through the bridge, and what happens when the gateway doesn't hold still."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from support.bridges import CHAT, Bridge, bridge_to
from support.ports import free_port
from support.scripted_upstream import Received, Reply, ScriptedUpstream, chat_chunk, json_reply, scripted_upstream
from support.until import until


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as up:
        yield up


@pytest.fixture
async def bridge(gateway: ScriptedUpstream) -> AsyncIterator[Bridge]:
    async with bridge_to(gateway.url) as served:
        yield served


def data_of(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "stream": False}),
        ("/v1/completions", {"model": "scripted", "prompt": "def", "suffix": "end", "stream": True}),
        ("/v1/completions", {"model": "scripted", "prompt": "def"}),
        ("/v1/embeddings", {"model": "scripted", "input": "a"}),
    ],
)
async def test_bytes_pass_as_they_are(
    bridge: Bridge, gateway: ScriptedUpstream, path: str, body: dict[str, object]
) -> None:
    sent = json.dumps(body, indent=3).encode()
    headers = {"content-type": "application/json", "x-session-id": "s1"}
    through = await bridge.client.post(path, content=sent, headers=headers)
    async with httpx.AsyncClient(trust_env=False) as direct:
        expected = await direct.post(gateway.url + path, content=sent, headers=headers)
    assert (through.status_code, through.content) == (200, expected.content)
    assert gateway.requests[0].body == sent
    assert gateway.requests[0].headers["x-session-id"] == "s1"
    assert bridge.records[-1].status == 200
    assert bridge.records[-1].bytes_out == len(expected.content)


async def test_fim_and_models_reach_the_gateway_at_their_own_paths(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    gateway.script(Reply(steps=[chat_chunk({"content": "mid"}), b"data: [DONE]\n\n"]))
    fim = {"model": "scripted", "prompt": "a", "suffix": "b", "stream": True}
    answer = await bridge.client.post("/v1/fim/completions", json=fim)
    assert data_of(answer.text)[-1] == "[DONE]"
    assert (await bridge.client.get("/v1/models")).json()["data"][0]["id"] == "scripted"
    assert [request.path for request in gateway.requests] == ["/v1/fim/completions", "/v1/models"]
    assert [record.surface for record in bridge.records] == ["fim", "models"]


async def test_chunks_pass_when_they_come(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    gate = asyncio.Event()
    gateway.script(
        Reply(steps=[chat_chunk({"content": "first"}), gate, chat_chunk({"content": "last"}), b"data: [DONE]\n\n"])
    )
    seen = b""
    async with bridge.client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
        async for piece in answer.aiter_raw():
            seen += piece
            if b"first" in seen and not gate.is_set():
                assert b"last" not in seen
                gate.set()
    assert b"last" in seen


async def test_a_client_that_leaves_ends_the_request_at_the_gateway(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    gateway.script(Reply(steps=[chat_chunk({"content": "x"}), asyncio.Event()]))
    async with bridge.client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
        await anext(answer.aiter_raw())
    await until(lambda: bridge.records)
    assert bridge.records[0].cancelled
    async with asyncio.timeout(10):
        await gateway.posts[0].client_left.wait()


async def test_a_gateway_restart_costs_a_waiting_client_time_and_no_error() -> None:
    port = free_port()
    async with bridge_to(f"http://127.0.0.1:{port}", gateway_wait_s=60.0) as bridge:
        plain = asyncio.create_task(bridge.client.get("/v1/models"))
        seen = b""
        async with contextlib.AsyncExitStack() as stack:
            answer = await stack.enter_async_context(bridge.client.stream("POST", "/v1/chat/completions", json=CHAT))
            gateway = None
            async for piece in answer.aiter_raw():
                seen += piece
                if gateway is None and seen.count(b'"keepalive"') == 15:  # 3 s without a gateway
                    assert not plain.done()
                    gateway = await stack.enter_async_context(scripted_upstream(port))
            assert gateway is not None
            assert (await plain).status_code == 200
            assert len(gateway.posts) == 1
    assert answer.status_code == 200
    assert data_of(seen.decode())[-1] == "[DONE]"
    assert b"error" not in seen
    assert all(record.attempts > 2 for record in bridge.records)


async def test_a_gateway_killed_before_its_answer_is_asked_again_when_it_is_back() -> None:
    async with scripted_upstream() as first:
        first.script(Reply(hang=True))
        async with bridge_to(first.url, gateway_wait_s=30.0) as bridge:
            asking = asyncio.create_task(bridge.client.post("/v1/chat/completions", json={**CHAT, "stream": False}))
            await until(lambda: first.posts)
            await first.stop()
            async with scripted_upstream(first.port) as second:
                assert (await asking).json()["choices"][0]["message"]["content"] == "Hello from here."
                assert len(second.posts) == 1


async def test_a_request_that_kills_the_gateway_is_not_sent_for_a_minute(gateway: ScriptedUpstream) -> None:
    gateway.script(Reply(die_at_once=True))
    async with bridge_to(gateway.url, gateway_wait_s=60.0) as bridge:
        answer = await bridge.client.post("/v1/chat/completions", json={**CHAT, "stream": False})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broken")


async def test_a_gateway_that_stays_away_is_an_error_with_the_mend() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with bridge_to(url, keepalive_s=0.05) as bridge:
        answer = await bridge.client.post("/v1/chat/completions", json={**CHAT, "stream": False})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert url in answer.json()["error"]["message"]
        streamed = await bridge.client.post("/v1/chat/completions", json=CHAT)
        assert json.loads(data_of(streamed.text)[-1])["error"]["code"] == "unavailable"


async def test_a_client_that_leaves_ends_the_retries() -> None:
    async with bridge_to(f"http://127.0.0.1:{free_port()}", gateway_wait_s=600.0) as bridge:
        with pytest.raises(httpx.ReadTimeout):
            await bridge.client.post("/v1/chat/completions", json={**CHAT, "stream": False}, timeout=0.5)
        await until(lambda: bridge.records)
    assert bridge.records[0].cancelled


async def test_a_gateway_killed_in_mid_stream_gives_an_error_event_and_the_end(
    bridge: Bridge, gateway: ScriptedUpstream
) -> None:
    gateway.script(Reply(steps=[chat_chunk({"content": "half"}), asyncio.Event()]))
    seen = b""
    async with asyncio.timeout(20), bridge.client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
        async for piece in answer.aiter_raw():
            if b"half" in piece:
                await gateway.stop()
            seen += piece
    assert json.loads(data_of(seen.decode())[-1])["error"]["code"] == "upstream_broken"
    assert len(gateway.posts) == 1


async def test_a_key_that_the_gateway_refuses_is_not_taken_for_the_token(
    bridge: Bridge, gateway: ScriptedUpstream
) -> None:
    gateway.handle(lambda _: json_reply({"error": {"message": "no"}}, 401))
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        answer = await bridge.client.post(path, json={**CHAT, "stream": False})
        assert answer.status_code == 401
        assert "gateway.key" in answer.json()["error"]["message"]
        assert "refused this laptop's API key" in answer.json()["error"]["message"]
    assert "Refuses this laptop" in (await bridge.client.get("/")).text


async def test_errors_of_the_gateway_pass_as_they_are(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    error = {"error": {"message": "m", "type": "t", "param": None, "code": "context_length_exceeded"}}
    gateway.script(json_reply(error, 400))
    answer = await bridge.client.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json()) == (400, error)


async def test_other_paths_name_what_exists(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    for method, path in (("POST", "/v1/responses"), ("GET", "/v1/"), ("DELETE", "/v1/models/x")):
        answer = await bridge.client.request(method, path)
        assert answer.status_code == 404
        assert "/v1/chat/completions" in answer.json()["error"]["message"]
    assert (await bridge.client.get("/v1/chat/completions")).status_code == 405
    assert (await bridge.client.get("/elsewhere")).status_code == 404
    assert gateway.requests == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"stream": "yes", "model": "a"}', b"[" * 100 + b"]" * 100, b"\xff"])
async def test_a_broken_body_goes_no_further(bridge: Bridge, gateway: ScriptedUpstream, body: bytes) -> None:
    answer = await bridge.client.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert gateway.requests == []
    assert bridge.records[-1].error == "invalid_request"


async def test_a_body_over_the_bound_is_413(gateway: ScriptedUpstream) -> None:
    async with bridge_to(gateway.url, max_body_mib=1) as bridge:
        answer = await bridge.client.post("/v1/chat/completions", content=b"x" * (1024 * 1024 + 1))
        assert answer.status_code == 413
        assert gateway.requests == []


async def test_mcp_passes_both_ways_with_its_headers(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    def answer(request: Received) -> Reply:
        if request.method == "DELETE":
            return json_reply({})
        return Reply(steps=[b": open\n\n", b"data: {}\n\n"], headers={"mcp-session-id": "s7"})

    gateway.handle(answer)
    sent = {
        "accept": "application/json, text/event-stream",
        "mcp-session-id": "s7",
        "mcp-protocol-version": "2025-06-18",
        "mcp-method": "tools/list",
    }
    for method in ("POST", "GET", "DELETE"):
        through = await bridge.client.request(method, "/mcp", headers={**sent, "last-event-id": "4"})
        received = gateway.requests[-1]
        assert received.method == method
        assert sent.items() <= received.headers.items()
        assert received.headers["last-event-id"] == "4"
        if method != "DELETE":
            assert through.content == b": open\n\ndata: {}\n\n"
            assert through.headers["mcp-session-id"] == "s7"
        else:
            assert through.json() == {}


async def test_streams_that_only_listen_end_when_the_bridge_stops(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    gateway.handle(lambda _: Reply(steps=[b": open\n\n", asyncio.Event()]))
    seen = b""
    async with asyncio.timeout(10), bridge.client.stream("GET", "/mcp") as answer:
        async for piece in answer.aiter_raw():
            seen += piece
            bridge.stopping.set()
    assert seen == b": open\n\n"
    await until(lambda: bridge.records)
    assert (bridge.records[0].error, bridge.records[0].cancelled) == (None, False)
    async with asyncio.timeout(10):
        await gateway.requests[0].client_left.wait()
