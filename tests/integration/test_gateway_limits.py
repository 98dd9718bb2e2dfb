"""What the gateway refuses before an upstream hears of it, and what it never writes down."""

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.gateway import RunningGateway, captured_logs, running_gateway
from support.ports import free_port
from support.scripted_upstream import Reply, chat_chunk, chat_steps, json_reply, scripted_upstream
from support.until import until, until_async

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "CANARY-prompt"}]}
MIB = 1024 * 1024


async def _refused(gateway: RunningGateway, body: bytes) -> tuple[int, str]:
    answer = await gateway.client.post(CHAT, content=body, headers={"content-type": "application/json"})
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_body_that_is_not_json_or_not_a_request_is_refused():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        for body in (b"", b"{", b"[]", b'"x"', b"{}", b'{"model": 1}', b'{"model":"scripted","stream":"yes"}', b"\xff"):
            assert await _refused(gateway, body) == (400, "invalid_request"), body
        assert up.posts == []


async def test_a_body_that_is_nested_too_deep_is_refused():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        deep = b'{"model":"scripted","messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
        assert await _refused(gateway, deep) == (400, "invalid_request")
        assert up.posts == []


async def test_a_body_of_33_mib_is_refused_and_one_of_31_passes():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:

        async def pieces():
            for _ in range(33):
                yield b"x" * MIB

        with captured_logs() as logs:
            assert await _refused(gateway, b'{"model":"scripted","pad":"' + b"x" * 33 * MIB + b'"}') == (
                413,
                "request_too_large",
            )
            assert (await gateway.client.post(CHAT, content=pieces())).status_code == 413
        assert logs.getvalue().count('"error":"request_too_large"') == 2
        assert up.posts == []
        answer = await gateway.client.post(CHAT, content=b'{"model":"scripted","pad":"' + b"x" * 31 * MIB + b'"}')
        assert answer.status_code == 200
        assert len(up.posts[-1].body) > 31 * MIB


async def test_one_request_more_than_there_may_be_is_told_to_wait():
    async with scripted_upstream() as up, running_gateway(up.url, max_in_flight=2) as gateway:
        gate = asyncio.Event()
        up.script(Reply(steps=[chat_chunk({"content": "x"}), gate, *chat_steps([])]))
        asks = [asyncio.create_task(gateway.client.post(CHAT, json={**ASK, "stream": True})) for _ in range(2)]
        await until(lambda: len(up.posts) == 2)
        refused = await gateway.client.post(CHAT, json=ASK)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*asks)] == [200, 200]
        up.script(json_reply({}))
        assert (await gateway.client.post(CHAT, json=ASK)).status_code == 200


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_recorded_as_gone():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        with captured_logs() as logs:
            _, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(gateway.url).port)
            head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: 5000\r\n\r\n"
            writer.write(head.encode() + b'{"model": "CANARY')
            await writer.drain()
            await until_in_flight(gateway, 1)
            writer.close()
            await until(lambda: '"cancelled":true' in logs.getvalue())
        assert '"status":499' in logs.getvalue()
        assert "CANARY" not in logs.getvalue()
        await until_in_flight(gateway, 0)


async def until_in_flight(gateway: RunningGateway, count: int) -> None:
    async def reached() -> bool:
        return (await _samples(gateway))["bawn_gateway_requests_in_flight", ()] == count

    await until_async(reached)


async def test_without_a_key_that_counts_nothing_is_served_but_the_state():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=20) as stranger:
            for headers in ({}, {"authorization": "Bearer bawn_0123456789_x"}, {"x-api-key": "sk-1"}):
                for method, path in (
                    ("POST", CHAT),
                    ("GET", "/v1/models"),
                    ("POST", "/v1/responses"),
                    ("POST", "/mcp"),
                ):
                    answer = await stranger.request(method, path, headers=headers, json=ASK)
                    assert answer.status_code == 401, (path, headers)
                    assert answer.json()["error"]["code"] == "invalid_api_key"
            for path in ("/health", "/ready", "/metrics"):
                assert (await stranger.get(path)).status_code in (200, 503)
        assert up.posts == []


async def test_a_client_that_sends_much_without_a_key_still_gets_its_answer():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        for _ in range(5):
            answer = await gateway.client.post(CHAT, content=b"x" * 8 * MIB, headers={"authorization": "Bearer no"})
            assert answer.status_code == 401


async def test_keys_are_added_and_revoked_without_a_restart():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        key = gateway.keys.add("bob")
        headers = {"authorization": f"Bearer {key.text}"}
        assert (await gateway.client.get("/v1/models", headers=headers)).status_code == 200
        gateway.keys.revoke(key.stored.id)
        assert (await gateway.client.get("/v1/models", headers=headers)).status_code == 401
        assert (await gateway.client.get("/v1/models")).status_code == 200


CONTENT = "CANARY-completion"
FAULTS: dict[str, tuple[Reply, bool]] = {
    "stream": (Reply(steps=chat_steps([CONTENT])), True),
    "whole": (json_reply({"choices": [{"message": {"content": CONTENT}}]}), False),
    "error": (json_reply({"error": {"message": CONTENT}}, 400), False),
    "error as html": (Reply(500, [CONTENT.encode()], "text/html"), True),
    "busy": (json_reply({"error": {"message": CONTENT}}, 429), True),
    "half a chunk": (Reply(steps=[chat_chunk({"content": CONTENT})], raw_tail=b"99\r\ndata: CANARY"), True),
    "no end": (Reply(steps=[chat_chunk({"content": CONTENT})]), True),
    "nonsense": (Reply(steps=[CONTENT.encode() + b"\n\n"]), True),
    "nonsense instead of json": (Reply(steps=[CONTENT.encode()], content_type="application/json"), False),
    "dead": (Reply(die_at_once=True), True),
    "silent": (Reply(hang=True), True),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", [CHAT, "/v1/fim/completions"])
async def test_no_prompt_and_no_completion_is_ever_logged(fault: str, path: str):
    reply, streams = FAULTS[fault]
    timeouts = {"first_byte_s": 0.3, "between_chunks_s": 0.3}
    async with scripted_upstream() as up, running_gateway(up.url, timeouts=timeouts) as gateway:
        with captured_logs() as logs:
            up.script(reply)
            body = {**ASK, "prompt": "CANARY-prompt", "suffix": "CANARY-suffix", "stream": streams, "user": "CANARY-u"}
            headers = {"x-session-id": "CANARY-session", "x-request-id": "CANARY-request"}
            await gateway.client.post(path, json=body, headers=headers, params={"q": "CANARY-query"})
            assert len(up.posts) >= 1
            await until(lambda: '"event":"request"' in logs.getvalue())
        assert "CANARY" not in logs.getvalue()
        assert "CANARY" not in (await gateway.client.get("/metrics")).text


async def test_nothing_of_requests_that_are_refused_is_logged():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        with captured_logs() as logs:
            for body in (b"CANARY", b'{"model": ["CANARY"]}', b'{"model":"CANARY"}', b'{"CANARY":' + b"[" * 99):
                await gateway.client.post(CHAT, content=body)
            await gateway.client.get("/v1/CANARY")
            await gateway.client.get("/CANARY", headers={"x-api-key": "bawn_CANARY_CANARY"})
            await gateway.client.get("/v1/models", headers={"authorization": "Bearer bawn_CANARY_CANARY"})
        assert logs.getvalue().count('"event":"request"') == 6
        assert "CANARY" not in logs.getvalue()
        assert gateway.key not in logs.getvalue()


async def test_a_request_leaves_one_record_with_its_figures():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        with captured_logs() as logs:
            await gateway.client.post(CHAT, json={**ASK, "stream": True})
            await until(lambda: '"event":"request"' in logs.getvalue())
        (line,) = [line for line in logs.getvalue().splitlines() if '"event":"request"' in line]
        for part in (
            '"surface":"chat"',
            '"status":200',
            f'"key":"{gateway.key_id}"',
            '"model":"scripted"',
            '"upstream":"u0"',
            '"streamed":true',
            '"attempts":1',
            '"prompt_tokens":7',
            '"completion_tokens":3',
            '"first_byte_s":',
            '"total_s":',
        ):
            assert part in line


async def test_metrics_can_be_parsed_and_say_what_happened():
    async with scripted_upstream() as up, running_gateway(up.url, f"http://127.0.0.1:{free_port()}") as gateway:
        await gateway.client.post(CHAT, json={**ASK, "stream": True})
        await gateway.client.post(CHAT, json={**ASK, "model": ""})
        up.script(Reply(steps=[chat_chunk({"content": "x"}), asyncio.Event()]))
        async with gateway.client.stream("POST", CHAT, json={**ASK, "stream": True}) as answer:
            await anext(answer.aiter_bytes())
            busy = await _samples(gateway)
            assert busy["bawn_gateway_requests_in_flight", ()] == 1
            assert busy["bawn_gateway_upstream_in_flight", (("upstream", "u0"),)] == 1

        async def left() -> bool:
            return (await _samples(gateway)).get(("bawn_gateway_cancelled_total", (("surface", "chat"),))) == 1

        await until_async(left)
        samples = await _samples(gateway)
        done = (("error", ""), ("status", "2xx"), ("surface", "chat"))
        assert samples["bawn_gateway_requests_total", done] == 2
        assert samples["bawn_gateway_first_byte_seconds_count", (("surface", "chat"),)] == 2
        assert samples["bawn_gateway_tokens_total", (("kind", "prompt"), ("model", "scripted"))] == 7
        assert samples["bawn_gateway_upstream_healthy", (("upstream", "u0"),)] == 1
        assert samples["bawn_gateway_upstream_healthy", (("upstream", "u1"),)] == 0
        assert samples["bawn_gateway_requests_in_flight", ()] == 0
        assert samples["bawn_gateway_upstream_in_flight", (("upstream", "u0"),)] == 0
        assert not any(gateway.key_id in str(labels) for _, labels in samples)


async def _samples(gateway: RunningGateway) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await gateway.client.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_ready_tells_each_part():
    async with scripted_upstream() as up:
        port = free_port()
        async with running_gateway(f"http://127.0.0.1:{port}", index_dir="/nonexistent") as gateway:
            answer = await gateway.client.get("/ready")
            assert answer.status_code == 503
            parts = {part["name"]: part["ok"] for part in answer.json()["parts"]}
            assert parts == {"u0": False, "index": False}
            assert "127.0.0.1" not in answer.text
        async with running_gateway(up.url, f"http://127.0.0.1:{port}") as gateway:
            await gateway.until_ready()
            answer = await gateway.client.get("/ready")
            parts = {part["name"]: part["ok"] for part in answer.json()["parts"]}
            assert parts == {"u0": True, "u1": False}
            needed = {needs: await gateway.client.get(f"/ready?{needs}") for needs in ("needs=u0", "needs=u0&needs=u1")}
            assert [one.status_code for one in needed.values()] == [200, 503]
            strange = await gateway.client.get("/ready?needs=u2")
            assert strange.status_code == 400
            assert "no upstream u2; there are u0, u1" in strange.text
            assert (await gateway.client.get("/health")).json()["state"] == "ready"
