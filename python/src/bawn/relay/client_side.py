"""The client's side of a relayed answer: one writer at a time, and a start that is sent once."""

import asyncio
from collections.abc import Iterable
from typing import Final

from litestar.types import Send

from bawn.contracts.record import RequestRecord
from bawn.contracts.sse import CONTENT_TYPE

Headers = Iterable[tuple[bytes, bytes]]

_STREAM_HEADERS: Final = (
    (b"content-type", CONTENT_TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a reverse proxy in front must not hold chunks back
)


class ClientSide:
    """Writes an ASGI response and counts what went out."""

    def __init__(self, send: Send, record: RequestRecord, started_at: float) -> None:
        self._send = send
        self._record = record
        self._started_at = started_at
        self._lock = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self.started = False
        """Whether the status line has gone out."""
        self.last_write = started_at
        """Loop time of the last write."""

    async def event(self, data: bytes, *, counts: bool = True) -> None:
        """Send events of a stream, its start included where it has not gone out; keepalives don't count as a byte."""
        async with self._lock:
            await self._start(200, _STREAM_HEADERS)
            if counts and self._record.first_byte_s is None:
                self._record.first_byte_s = round(self._clock() - self._started_at, 6)
            await self._body(data, more=True)

    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer whose bytes pass as they are."""
        async with self._lock:
            await self._start(status, headers)

    async def body(self, data: bytes) -> None:
        """Bytes of an answer that passes as it is."""
        async with self._lock:
            if self._record.first_byte_s is None:
                self._record.first_byte_s = round(self._clock() - self._started_at, 6)
            await self._body(data, more=True)

    async def end(self) -> None:
        """End the answer."""
        async with self._lock:
            await self._body(b"", more=False)

    async def whole(self, status: int, headers: Headers, data: bytes) -> None:
        """A whole answer at once."""
        async with self._lock:
            length = (b"content-length", str(len(data)).encode())
            await self._start(status, (*headers, length))
            self._record.first_byte_s = round(self._clock() - self._started_at, 6)
            await self._body(data, more=False)

    async def _start(self, status: int, headers: Headers) -> None:
        if not self.started:
            self.started = True
            self._record.status = status
            await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def _body(self, data: bytes, *, more: bool) -> None:
        self._record.bytes_out += len(data)
        self.last_write = self._clock()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
