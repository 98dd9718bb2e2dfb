"""The relay between a real client and a real, misbehaving upstream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from litestar import Request, post

from bawn.contracts.errors import Overloaded, RequestError
from bawn.contracts.record import RequestRecord
from bawn.relay.dialects import CHAT
from bawn.relay.response import RelayResponse
from bawn.relay.timeouts import Timeouts
from bawn.relay.upstream import Upstream
from bawn.service.http import make_app
from bawn.service.serving import running
from support.ports import free_port
from support.scripted_upstream import (
    DONE,
    Die,
    Reply,
    ScriptedUpstream,
    chat_chunk,
    chat_steps,
    json_reply,
    scripted_upstream,
)


@dataclass
class Hop:
    """A relay in front of a scripted upstream."""

    upstream: ScriptedUpstream
    client: httpx.AsyncClient
    records: list[RequestRecord] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    refuse: RequestError | None = None
    hold: asyncio.Event | None = None


@contextlib.asynccontextmanager
async def hop(timeouts: Timeouts | None = None, keepalive_s: float = 30.0) -> AsyncIterator[Hop]:
    timeouts = timeouts or Timeouts(first_byte_s=10, between_chunks_s=10, total_s=20)
    port = free_port()
    async with scripted_upstream() as server:
        upstream = Upstream("u", server.url, timeouts=timeouts)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            this = Hop(server, client)

            def on_end(record: RequestRecord) -> None:
                this.records.append(record)
                this.ended.set()

            @post("/v1/chat/completions", status_code=200)
            async def chat(request: Request) -> RelayResponse:  # type: ignore[type-arg]
                body = await request.body()

                async def connect() -> httpx.Response:
                    if this.hold is not None:
                        await this.hold.wait()
                    if this.refuse is not None:
                        raise this.refuse
                    return await upstream.send("POST", "/v1/chat/completions", body=body)

                return RelayResponse(
                    connect,
                    dialect=CHAT,
                    model="m",
                    record=RequestRecord(surface="chat"),
                    on_end=on_end,
                    timeouts=timeouts,
                    keepalive_s=keepalive_s,
                )

            async with running(make_app([chat], max_body_bytes=1 << 20), "127.0.0.1", port, drain_s=2):
                yield this
        await upstream.aclose()


async def ask(this: Hop) -> httpx.Response:
    return await this.client.post("/v1/chat/completions", json={"model": "m", "stream": True})


async def test_a_stream_passes_byte_for_byte() -> None:
    async with hop() as this:
        steps = chat_steps(["a", "b", "c"])
        this.upstream.script(Reply(steps=steps))
        response = await ask(this)
        assert response.content == b"".join(step for step in steps if isinstance(step, bytes))
        assert response.headers["content-type"].startswith("text/event-stream")
        record = this.records[0]
        assert (record.status, record.error, record.cancelled) == (200, None, False)
        assert (record.prompt_tokens, record.completion_tokens) == (7, 3)


async def test_a_chunk_reaches_the_client_before_the_next_is_made() -> None:
    async with hop() as this:
        gates = [asyncio.Event() for _ in range(4)]
        chunks = [chat_chunk({"content": str(n)}) for n in range(4)]
        steps = [step for pair in zip(chunks, gates, strict=True) for step in pair]
        this.upstream.script(Reply(steps=[*steps, DONE]))
        async with this.client.stream("POST", "/v1/chat/completions", json={"model": "m", "stream": True}) as response:
            pieces = response.aiter_raw()
            for chunk, gate in zip(chunks, gates, strict=True):
                assert await anext(pieces) == chunk
                gate.set()
            assert await anext(pieces) == DONE


async def test_a_client_that_leaves_cancels_the_upstream() -> None:
    async with hop() as this:
        this.upstream.script(Reply(steps=[chat_chunk({"content": "x"}), asyncio.Event()]))
        async with this.client.stream("POST", "/v1/chat/completions", json={"model": "m", "stream": True}) as response:
            await anext(response.aiter_raw())
        await asyncio.wait_for(this.upstream.posts[0].client_left.wait(), 5)
        await asyncio.wait_for(this.ended.wait(), 5)
        assert this.records[0].cancelled


async def test_a_client_that_leaves_before_the_first_byte_cancels_the_upstream() -> None:
    async with hop() as this:
        this.upstream.script(Reply(hang=True))
        with pytest.raises(httpx.ReadTimeout):
            await this.client.post("/v1/chat/completions", json={"model": "m", "stream": True}, timeout=0.3)
        await asyncio.wait_for(this.upstream.posts[0].client_left.wait(), 5)
        await asyncio.wait_for(this.ended.wait(), 5)
        assert this.records[0].cancelled
        assert this.records[0].status == 499


async def test_silence_is_filled_with_events_that_count_as_progress() -> None:
    async with hop(keepalive_s=0.05) as this:
        this.hold = asyncio.Event()
        async with this.client.stream("POST", "/v1/chat/completions", json={"model": "m", "stream": True}) as response:
            assert response.status_code == 200
            lines = response.aiter_lines()
            for _ in range(3):
                line = await anext(lines)
                assert '"delta":{}' in line
                assert await anext(lines) == ""
            this.hold.set()
            rest = [line async for line in lines if line]
        assert rest[-1] == "data: [DONE]"
        assert any("Hello" in line for line in rest)


async def test_an_error_before_the_first_byte_keeps_its_status() -> None:
    async with hop() as this:
        this.refuse = Overloaded("Too much.", retry_after=7)
        response = await ask(this)
        assert response.status_code == 429
        assert response.headers["retry-after"] == "7"
        assert response.json()["error"]["code"] == "overloaded"
        assert this.records[0].error == "overloaded"


async def test_an_error_after_a_keepalive_is_an_event() -> None:
    async with hop(keepalive_s=0.05) as this:
        this.hold, this.refuse = asyncio.Event(), Overloaded("Too much.", retry_after=7)
        async with this.client.stream("POST", "/v1/chat/completions", json={"model": "m", "stream": True}) as response:
            lines = response.aiter_lines()
            await anext(lines)
            this.hold.set()
            rest = [line async for line in lines if line and '"delta"' not in line]
        assert len(rest) == 1
        assert '"overloaded"' in rest[0]


async def test_half_a_chunk_and_then_death_is_an_error_event_on_a_clean_border() -> None:
    async with hop() as this:
        good, read = chat_chunk({"content": "x"}), asyncio.Event()
        this.upstream.script(Reply(steps=[good, read], raw_tail=b'40\r\ndata: {"choices": [{"de'))
        async with this.client.stream("POST", "/v1/chat/completions", json={"model": "m", "stream": True}) as response:
            pieces = response.aiter_raw()
            assert await anext(pieces) == good
            read.set()
            rest = b"".join([piece async for piece in pieces])
        assert rest.startswith(b'data: {"error":{')
        assert rest.endswith(b"}\n\n")
        assert b'"upstream_broken"' in rest
        assert this.records[0].error == "upstream_broken"


@pytest.mark.parametrize("end", [[Die()], []], ids=["reset", "clean end of body"])
async def test_a_stream_that_ends_early_is_an_error_event(end: list[Die]) -> None:
    async with hop() as this:
        this.upstream.script(Reply(steps=[chat_chunk({"content": "x"}), *end]))
        assert b'"upstream_broken"' in (await ask(this)).content


async def test_a_stream_that_falls_silent_is_an_error_event() -> None:
    async with hop(Timeouts(between_chunks_s=0.2)) as this:
        this.upstream.script(Reply(steps=[chat_chunk({"content": "x"}), asyncio.Event()]))
        assert b'"upstream_timeout"' in (await ask(this)).content
        await asyncio.wait_for(this.upstream.posts[0].client_left.wait(), 5)


async def test_the_whole_request_is_bounded() -> None:
    async with hop(Timeouts(total_s=0.2)) as this:
        this.upstream.script(Reply(hang=True))
        response = await ask(this)
        assert response.status_code == 504


async def test_an_upstream_error_passes_with_its_body_and_retry_after() -> None:
    async with hop() as this:
        this.upstream.script(json_reply({"error": {"message": "later", "code": "x"}}, 429, {"retry-after": "3"}))
        response = await ask(this)
        assert (response.status_code, response.headers["retry-after"]) == (429, "3")
        assert response.json()["error"]["message"] == "later"


async def test_an_error_page_of_a_proxy_becomes_an_error_body() -> None:
    async with hop() as this:
        this.upstream.script(Reply(502, [b"<html>bad gateway</html>"], "text/html"))
        response = await ask(this)
        assert response.status_code == 502
        assert response.json()["error"]["code"] == "upstream_broken"


async def test_a_plain_answer_that_breaks_off_is_an_error_not_half_an_answer() -> None:
    async with hop() as this:
        this.upstream.script(Reply(200, [b'{"half": '], "application/json", raw_tail=b"5\r\nab"))
        response = await ask(this)
        assert response.status_code == 502


async def test_many_streams_at_once_lose_nothing() -> None:
    async with hop() as this:
        steps = chat_steps([f"t{n} " for n in range(50)])
        this.upstream.script(Reply(steps=steps))
        whole = b"".join(step for step in steps if isinstance(step, bytes))
        answers = await asyncio.gather(*(ask(this) for _ in range(64)))
        assert all(response.content == whole for response in answers)
        assert len(this.records) == 64
