"""Sending to an upstream over real sockets."""

from collections.abc import AsyncIterator

import pytest

from bawn.contracts.errors import Unavailable, UpstreamBroken, UpstreamTimeout
from bawn.relay.timeouts import Timeouts
from bawn.relay.upstream import Upstream
from support.ports import free_port
from support.scripted_upstream import Reply, ScriptedUpstream, chat_steps, json_reply, scripted_upstream


@pytest.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as server:
        yield server


@pytest.fixture
async def upstream(server: ScriptedUpstream) -> AsyncIterator[Upstream]:
    upstream = Upstream("u", server.url, token="hidden", timeouts=Timeouts(first_byte_s=5))
    yield upstream
    await upstream.aclose()


async def answer(upstream: Upstream) -> bytes:
    response = await upstream.send(
        "POST", "/v1/chat/completions", headers={"content-type": "application/json"}, body=b"{}"
    )
    try:
        return b"".join([chunk async for chunk in response.stream])
    finally:
        await response.aclose()


async def test_the_token_goes_out_and_stays_out_of_the_repr(server: ScriptedUpstream, upstream: Upstream) -> None:
    server.script(json_reply({"ok": True}))
    assert await answer(upstream) == b'{"ok": true}'
    assert server.requests[0].headers["authorization"] == "Bearer hidden"
    assert "hidden" not in repr(upstream)


async def test_a_pooled_connection_that_turns_out_dead_is_replaced(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(Reply(steps=chat_steps(["one"]), close_after=True))
    for _ in range(5):
        assert b"[DONE]" in await answer(upstream)
    assert len(server.posts) == 5


async def test_a_server_that_dies_on_every_request_is_broken_after_two_tries(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(Reply(die_at_once=True))
    with pytest.raises(UpstreamBroken):
        await answer(upstream)
    assert len(server.posts) == 2


async def test_nobody_listening_is_unavailable_with_a_retry_after() -> None:
    upstream = Upstream("gone", f"http://127.0.0.1:{free_port()}", timeouts=Timeouts())
    with pytest.raises(Unavailable) as caught:
        await answer(upstream)
    assert "retry-after" in caught.value.headers
    await upstream.aclose()


async def test_a_server_that_never_answers_is_a_timeout_and_is_not_asked_again(server: ScriptedUpstream) -> None:
    upstream = Upstream("slow", server.url, timeouts=Timeouts(first_byte_s=0.2))
    server.script(Reply(hang=True))
    with pytest.raises(UpstreamTimeout):
        await answer(upstream)
    assert len(server.posts) == 1
    await upstream.aclose()
