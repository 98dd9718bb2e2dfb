"""One HTTP server that requests are passed on to."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bawn.contracts.errors import RequestError, Unavailable, UpstreamBroken, UpstreamTimeout
from bawn.relay.timeouts import Timeouts

_RETRY_AFTER_S: Final = 5.0
_PIECE_BYTES: Final = 512 * 1024
_SILENT_AFTER_S: Final = 20
"""A peer that acknowledges nothing for so long is gone: its host, its address, or the network between."""
_NEVER_CONNECTED: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that notices a peer which vanished; left to itself, TCP would wait a quarter of an hour.

    What is meant is the peer's kernel: a server may think about its answer for as long as it likes.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Names of Linux; elsewhere the system's own times count.
    for option, value in (
        ("TCP_KEEPIDLE", _SILENT_AFTER_S // 2),
        ("TCP_KEEPINTVL", _SILENT_AFTER_S // 4),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", _SILENT_AFTER_S * 1000),
    ):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _transport(*, keep_alive: bool) -> AiohttpTransport:
    """httpx's transport over aiohttp's pool: httpx's own pool makes 64 streams wait for one another.

    Called through httpx's transport interface: `AsyncClient.send` alone would add a millisecond to every first byte.
    """

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the gateway bounds the requests in flight, per user and in all
            force_close=not keep_alive,
            keepalive_timeout=30 if keep_alive else None,
            socket_factory=_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy variable must not send code out of the private network
            skip_auto_headers={"user-agent", "accept-encoding"},
        )

    return AiohttpTransport(client=session)


async def _pieces(body: bytes) -> AsyncGenerator[bytes]:
    """A large body bit by bit: written at once, it would hold up the other streams' event loop."""
    view = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        yield bytes(view[start : start + _PIECE_BYTES])


class _Pool:
    """A transport that is made when the first request needs it, inside the running loop."""

    def __init__(self, *, keep_alive: bool) -> None:
        self._keep_alive = keep_alive
        self._transport: AiohttpTransport | None = None

    async def send(self, request: httpx.Request) -> httpx.Response:
        if self._transport is None:
            self._transport = _transport(keep_alive=self._keep_alive)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None


class Upstream:
    """A named server with its pool of connections.

    A pooled connection that turns out dead before the first byte (llama-server closes its socket after every
    streamed answer while it advertises keep-alive) is retried once on a fresh one.
    """

    def __init__(self, name: str, base_url: str, *, token: str | None = None, timeouts: Timeouts) -> None:
        """`base_url` is what `/v1/…` and the like are appended to; `token` goes out as a bearer token."""
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._authorization = None if token is None else f"Bearer {token}"
        self._timeouts = timeouts
        self._pooled = _Pool(keep_alive=True)
        self._fresh = _Pool(keep_alive=False)

    def __repr__(self) -> str:
        return f"Upstream({self.name!r}, {self.base_url!r})"

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> httpx.Response:
        """Send one request; the answer's status and headers are in, its body is still to be read.

        The caller iterates `response.stream` and must `await response.aclose()`.

        Raises:
            Unavailable: no connection could be made.
            UpstreamBroken: the connection died before the first byte, on a fresh connection too.
            UpstreamTimeout: the first byte did not come within `first_byte_s`.
        """
        for pool in (self._pooled, self._fresh):
            try:
                async with asyncio.timeout(self._timeouts.first_byte_s):
                    return await pool.send(self._request(method, path, headers, body))
            except (TimeoutError, httpx.ReadTimeout) as error:
                raise UpstreamTimeout(f"{self.name} did not answer in {self._timeouts.first_byte_s:g} s.") from error
            except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
                # The transport gives a refused connection and one that died the same httpx error.
                if isinstance(error.__cause__ or error, _NEVER_CONNECTED):
                    raise self._unreachable() from error
                if pool is self._fresh:
                    raise self._broken() from error
        raise self._broken()

    def _request(self, method: str, path: str, headers: Mapping[str, str] | None, body: bytes) -> httpx.Request:
        every = {**(headers or {}), "accept-encoding": "identity"}  # compressed chunks would be held back
        if self._authorization is not None:
            every["authorization"] = self._authorization
        timeout = {"connect": self._timeouts.connect_s, "read": None, "write": None, "pool": None}
        content = body
        if len(body) > _PIECE_BYTES:
            every["content-length"] = str(len(body))
            content = _pieces(body)
        return httpx.Request(
            method, self.base_url + path, headers=every, content=content, extensions={"timeout": timeout}
        )

    def _unreachable(self) -> RequestError:
        return Unavailable(f"{self.name} can't be reached.", retry_after=_RETRY_AFTER_S)

    def _broken(self) -> RequestError:
        return UpstreamBroken(f"{self.name} closed the connection before it answered.")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pooled.aclose()
        await self._fresh.aclose()
