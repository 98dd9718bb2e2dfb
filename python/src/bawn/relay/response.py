"""The streaming relay: an answer of an upstream, passed on to a client that may leave at any moment.

Rules that hold here (docs/architecture.md, "Streaming"): a chunk is passed on when it arrives; a client that leaves
cancels the upstream; silence is filled with keepalives in the client's dialect; an error after the status line is an
event in that dialect, never a silent close.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import httpx
from litestar.types import Receive, Scope, Send

from bawn.contracts.errors import (
    BY_STATUS,
    InternalError,
    RequestError,
    UpstreamBroken,
    UpstreamTimeout,
    encode_openai,
)
from bawn.contracts.record import RequestRecord
from bawn.contracts.sse import event
from bawn.relay.client_side import ClientSide
from bawn.relay.dialects import Dialect
from bawn.relay.framing import Framer
from bawn.relay.timeouts import Timeouts
from bawn.relay.usage import note_usage

_log = logging.getLogger("bawn.relay")

MAX_WHOLE_BYTES: Final = 64 * 1024 * 1024
"""Largest answer that is not a stream."""

CLIENT_LEFT: Final = 499
"""Status in the record when the client left before any status line (nginx's number for it)."""

_BROKEN = (httpx.TransportError, aiohttp.ClientError, OSError)
_JSON: Final = ((b"content-type", b"application/json"),)
_PASSED_ON: Final = frozenset(
    (
        b"content-type",
        b"retry-after",
        b"x-request-id",
        b"cache-control",
        b"allow",
        b"mcp-session-id",
        b"mcp-protocol-version",
    )
)


class RelayResponse:
    """An ASGI app that a Litestar handler returns once it has read the request's body."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[httpx.Response]],
        *,
        dialect: Dialect | None,
        model: str,
        record: RequestRecord,
        on_end: Callable[[RequestRecord], None],
        timeouts: Timeouts,
        keepalive_s: float,
        transform: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Prepare the relay of one answer.

        Args:
            connect: routing and retries; called once; gives the answer with its body unread, or raises `RequestError`.
            dialect: of the stream that the client asked for; None where it asked for none, or for one that passes
                as it is (MCP).
            model: the name that the client gave, for keepalives.
            record: filled while the answer passes.
            on_end: gets the record exactly once.
            timeouts: `first_byte_s`, `between_chunks_s` and `total_s` count here.
            keepalive_s: silence in seconds after which a keepalive goes out.
            transform: of complete events, or of a whole answer, to the client's dialect.
        """
        self._connect = connect
        self._dialect = dialect
        self._model = model
        self._record = record
        self._on_end = on_end
        self._timeouts = timeouts
        self._keepalive_s = keepalive_s
        self._transform = transform
        self._client_left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay; returns when the answer has ended, failed, or lost its client."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        client = ClientSide(send, self._record, started_at)
        try:
            async with asyncio.timeout(self._timeouts.total_s) as life:
                watcher = asyncio.create_task(self._watch(receive, life))
                keeper = asyncio.create_task(self._keep_alive(client)) if self._dialect is not None else None
                try:
                    await self._relay(client)
                finally:
                    watcher.cancel()
                    if keeper is not None:
                        keeper.cancel()
        except TimeoutError:
            if self._client_left:
                self._record.cancelled = True
                self._record.status = self._record.status or CLIENT_LEFT
            else:
                await self._fail(client, UpstreamTimeout(f"The request took longer than {self._timeouts.total_s:g} s."))
        except RequestError as error:
            await self._fail(client, error)
        except Exception as error:  # noqa: BLE001 - the top of a request: the client must get an answer
            _log.error("relay_failed", exc_info=error)
            await self._fail(client, InternalError())
        finally:
            self._record.total_s = round(loop.time() - started_at, 6)
            self._on_end(self._record)

    async def _watch(self, receive: Receive, life: asyncio.Timeout) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client_left = True
        life.reschedule(asyncio.get_running_loop().time())

    async def _keep_alive(self, client: ClientSide) -> None:
        assert self._dialect is not None  # noqa: S101 - only started for a dialect
        clock = asyncio.get_running_loop().time
        while True:
            silent = clock() - client.last_write
            if silent < self._keepalive_s:
                await asyncio.sleep(self._keepalive_s - silent)
            else:
                await client.event(self._dialect.keepalive(self._model), counts=False)

    async def _relay(self, client: ClientSide) -> None:
        response = await self._connect()
        try:
            streams = response.headers.get("content-type", "").startswith("text/event-stream")
            if not streams:
                await self._pass_whole(response, client)
            elif self._dialect is None or response.status_code != 200:
                await self._pass_bytes(response, client)
            else:
                await self._pass_events(response, client, self._dialect)
        finally:
            await response.aclose()

    async def _pass_events(self, response: httpx.Response, client: ClientSide, dialect: Dialect) -> None:
        self._record.streamed = True
        clock = asyncio.get_running_loop().time
        framer = Framer()
        ended = False
        try:
            async with asyncio.timeout(self._timeouts.first_byte_s) as silence:
                async for chunk in _chunks(response):
                    silence.reschedule(clock() + self._timeouts.between_chunks_s)
                    events = framer.feed(chunk)
                    if not events:
                        continue
                    ended = ended or dialect.is_end(events)
                    note_usage(events, self._record)
                    await client.event(self._transform(events) if self._transform else events)
        except TimeoutError as error:
            raise UpstreamTimeout("The answer stopped coming.") from error
        except (*_BROKEN, ValueError) as error:
            # What follows the end of the answer on the wire is nobody's loss.
            if not ended:
                raise UpstreamBroken("The answer broke off.") from error
        if not ended:
            raise UpstreamBroken("The answer ended before it was complete.")
        await client.end()

    async def _pass_bytes(self, response: httpx.Response, client: ClientSide) -> None:
        """A stream that is not ours to read: MCP."""
        self._record.streamed = True
        await client.start(response.status_code, _passed_on(response))
        try:
            async for chunk in _chunks(response):
                await client.body(chunk)
        except _BROKEN:
            self._record.error = UpstreamBroken.code
        await client.end()

    async def _pass_whole(self, response: httpx.Response, client: ClientSide) -> None:
        """An answer that is no stream is read before it is passed on: half of it would be of no use to anybody."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeouts.first_byte_s):
                async for chunk in _chunks(response):
                    body += chunk
                    if len(body) > MAX_WHOLE_BYTES:
                        raise UpstreamBroken(f"The answer is larger than {MAX_WHOLE_BYTES >> 20} MiB.")
        except TimeoutError as error:
            raise UpstreamTimeout("The answer stopped coming.") from error
        except _BROKEN as error:
            raise UpstreamBroken("The answer broke off.") from error
        answer = bytes(body)
        if response.status_code >= 400:
            await self._pass_error(response, answer, client)
            return
        if client.started:  # with keepalives, so that this can't be passed on as what it is
            raise UpstreamBroken("The upstream answered without streaming.")
        note_usage(answer[-4096:], self._record)
        if self._transform:
            answer = self._transform(answer)
        await client.whole(response.status_code, _passed_on(response), answer)

    async def _pass_error(self, response: httpx.Response, answer: bytes, client: ClientSide) -> None:
        error = BY_STATUS.get(response.status_code, UpstreamBroken)
        self._record.error = error.code
        is_json = response.headers.get("content-type", "").startswith("application/json")
        if not is_json:
            answer = encode_openai(error(f"The upstream answered with status {response.status_code}."))
        if not client.started:
            headers = _passed_on(response) if is_json else _JSON
            await client.whole(response.status_code, headers, answer)
            return
        await client.event(event(b" ".join(answer.splitlines())))
        await client.end()

    async def _fail(self, client: ClientSide, error: RequestError) -> None:
        self._record.error = error.code
        if not client.started:
            headers = tuple((k.encode(), v.encode()) for k, v in error.headers.items())
            await client.whole(error.status, (*_JSON, *headers), encode_openai(error))
        elif self._dialect is not None:
            await client.event(self._dialect.error(error))
            await client.end()


def _chunks(response: httpx.Response) -> httpx.AsyncByteStream:
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
    return response.stream


def _passed_on(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    return [(k.lower(), v) for k, v in response.headers.raw if k.lower() in _PASSED_ON]
