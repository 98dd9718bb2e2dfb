"""What a client of the bridge sees, and what the logs keep, when things go wrong further back."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bawn.chain.layout import HOST
from support.chains import Front, scripted_chain
from support.scripted_upstream import Die, Reply, ScriptedUpstream, chat_chunk, chat_steps, json_reply
from support.until import until

pytestmark = pytest.mark.timeout(120)

CANARY = "canary-5d2e"

Chain = tuple[Front, ScriptedUpstream]


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    async with scripted_chain(tmp_path) as chain:
        yield chain


@pytest.fixture
async def client(chain: Chain) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {chain[0].token}"}
    async with httpx.AsyncClient(base_url=chain[0].url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def request(**fields: Any) -> dict[str, Any]:
    message = {"role": "user", "content": f"prompt {CANARY}"}
    return {"model": "scripted", "messages": [message], "stream": True, **fields}


def only_error(answer: bytes) -> str:
    """The class of the error event that ends a stream."""
    last = answer.rstrip().split(b"\n\n")[-1]
    return str(json.loads(last.removeprefix(b"data: "))["error"]["code"])


async def test_a_gateway_killed_in_the_middle_of_an_answer_is_an_error_event(
    chain: Chain, client: httpx.AsyncClient
) -> None:
    front, upstream = chain
    upstream.script(Reply(steps=[chat_chunk({"content": "x"}), asyncio.Event()]))
    async with client.stream("POST", "/v1/chat/completions", json=request()) as response:
        pieces = response.aiter_raw()
        await anext(pieces)
        assert front.chain.gateway.pid is not None
        os.kill(front.chain.gateway.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            rest = b"".join([piece async for piece in pieces])
    assert only_error(rest) == "upstream_broken"
    await asyncio.wait_for(upstream.posts[-1].client_left.wait(), 10)


async def test_a_gateway_restart_costs_a_waiting_client_time_not_an_error(
    chain: Chain, client: httpx.AsyncClient
) -> None:
    front, upstream = chain
    await front.chain.gateway.stop()
    waiting = [
        asyncio.create_task(client.post("/v1/chat/completions", json=request())),
        asyncio.create_task(client.post("/v1/chat/completions", json=request(stream=False))),
    ]
    # Both are in the bridge, which has asked the gateway in vain at least once.
    await until(lambda: front.log("bridge").count("gateway_unreachable") == 2)
    assert not any(task.done() for task in waiting)
    upstream.script(Reply(steps=chat_steps(["back ", "again"])))
    front.chain.gateway.start()
    streamed, _ = await asyncio.gather(*waiting)
    assert (streamed.status_code, b"again" in streamed.content) == (200, True)


FAULTS: dict[str, tuple[Reply, int, str]] = {
    "half a chunk and then death": (
        Reply(steps=[chat_chunk({"content": CANARY})], raw_tail=b'40\r\ndata: {"choices": [{"canary-5d2e'),
        200,
        "upstream_broken",
    ),
    "death between two chunks": (Reply(steps=[chat_chunk({"content": CANARY}), Die()]), 200, "upstream_broken"),
    "death before the first byte": (Reply(die_at_once=True), 503, "unavailable"),
    "an error that quotes the prompt": (json_reply({"error": {"message": CANARY, "code": "x"}}, 500), 500, "x"),
    "an error page": (Reply(502, [b"<html>canary-5d2e</html>"], "text/html"), 502, "upstream_broken"),
    "a stream without its end": (Reply(steps=[chat_chunk({"content": CANARY})]), 200, "upstream_broken"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_upstream_is_told_and_nothing_of_it_is_logged(
    chain: Chain, client: httpx.AsyncClient, fault: str
) -> None:
    front, upstream = chain
    reply, status, code = FAULTS[fault]
    upstream.script(reply)
    response = await client.post("/v1/chat/completions", json=request())
    assert response.status_code == status
    assert (only_error(response.content) if status == 200 else response.json()["error"]["code"]) == code
    await until(lambda: front.log("gateway").count('"event":"request"') >= 1)  # written when the client has its answer
    assert CANARY not in front.written()


async def test_sockets_that_close_after_every_answer_are_no_fault(chain: Chain, client: httpx.AsyncClient) -> None:
    chain[1].script(Reply(steps=chat_steps(["whole"]), close_after=True))
    for _ in range(5):
        assert b"[DONE]" in (await client.post("/v1/chat/completions", json=request())).content


BAD_REQUESTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "bad JSON": ({"content": b'{"model": "scripted", "canary-5d2e'}, 400, "invalid_request"),
    "too deep": ({"content": b'{"model": "scripted", "x": ' + b"[" * 100 + b"]" * 100 + b"}"}, 400, "invalid_request"),
    "33 MiB": ({"content": b'{"model": "' + b"x" * (33 << 20) + b'"}'}, 413, "request_too_large"),
    "unknown model": ({"json": request(model=CANARY)}, 404, "model_not_found"),
    "wrong key": ({"json": request(), "headers": {"authorization": f"Bearer {CANARY}"}}, 401, "invalid_api_key"),
    "foreign host": ({"json": request(), "headers": {"host": f"{CANARY}.example"}}, 403, "forbidden"),
    "foreign origin": ({"json": request(), "headers": {"origin": f"https://{CANARY}.example"}}, 403, "forbidden"),
    "cross-site": ({"json": request(), "headers": {"sec-fetch-site": "cross-site"}}, 403, "forbidden"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
async def test_a_request_that_can_not_be_served_is_refused_and_nothing_of_it_is_logged(
    chain: Chain, client: httpx.AsyncClient, case: str
) -> None:
    front, upstream = chain
    fields, status, code = BAD_REQUESTS[case]
    response = await client.post("/v1/chat/completions", **fields)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert not upstream.posts
    assert CANARY not in front.written()


async def test_the_gateway_itself_refuses_a_wrong_key(chain: Chain) -> None:
    front, _ = chain
    url = f"http://{HOST}:{front.chain.ports.gateway}/v1/chat/completions"
    async with httpx.AsyncClient(trust_env=False) as client:
        for headers in ({}, {"authorization": f"Bearer bawn_{'a' * 10}_{CANARY}"}):
            assert (await client.post(url, json=request(), headers=headers)).status_code == 401
    assert CANARY not in front.written()


async def test_nothing_of_a_success_is_logged_either(chain: Chain, client: httpx.AsyncClient) -> None:
    front, upstream = chain
    upstream.script(Reply(steps=chat_steps([CANARY])))
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/fim/completions"):
        response = await client.post(path, json={**request(), "prompt": CANARY, "suffix": CANARY})
        assert response.status_code == 200
    assert CANARY in upstream.posts[0].body.decode()
    await until(lambda: front.log("gateway").count('"event":"request"') == 3)
    assert CANARY not in front.written()
