"""Streams that a client holds open only to listen, ended when the bridge stops."""

import asyncio
from collections.abc import AsyncIterator

import httpx


class _UntilStopping(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, stopping: asyncio.Event) -> None:
        self._stream = stream
        self._stopping = stopping

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._stream)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            while True:
                chunk = asyncio.ensure_future(anext(chunks, None))
                try:
                    await asyncio.wait((chunk, stop), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not chunk.done():
                        chunk.cancel()
                if not chunk.done() or (piece := chunk.result()) is None:
                    return
                yield piece
        finally:
            stop.cancel()

    async def aclose(self) -> None:
        await self._stream.aclose()


def until_stopping(response: httpx.Response, stopping: asyncio.Event) -> httpx.Response:
    """The same answer, whose body also ends when `stopping` is set.

    `GET /mcp` never ends by itself: assistants keep it open all day, and each stop would wait for them.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
    stream = _UntilStopping(response.stream, stopping)
    return httpx.Response(response.status_code, headers=response.headers, stream=stream)
