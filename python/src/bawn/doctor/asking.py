"""Bounded requests to services, and what their failures are called."""

import asyncio
import socket
import threading
from typing import Final, Literal

import httpx
import msgspec

from bawn.bridge.local_client import error_of
from bawn.contracts.errors import BawnError

_MAX_BYTES: Final = 1024 * 1024
_CONNECT_S: Final = 3.0
_RESOLVE_S: Final = 3.0


class NoAnswer(BawnError):
    """A service that can't be asked."""

    def __init__(self, why: Literal["refused", "silent", "unreachable", "broken"]) -> None:
        super().__init__(why)
        self.why = why


class Answer(msgspec.Struct, frozen=True):
    """An answer of a service."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        """Error class, where the body is an error of ours."""
        return str(error_of(self.body).code or "")

    @property
    def message(self) -> str:
        """Its message, on one line and not long."""
        return " ".join("".join(c if c.isprintable() else " " for c in error_of(self.body).message).split())[:300]


async def ask(
    url: str, *, token: str | None = None, within_s: float = 4.0, transport: httpx.AsyncBaseTransport | None = None
) -> Answer:
    """GET `url`; no proxy variable sends it elsewhere.

    Raises:
        NoAnswer: there is none within the time, or more than 1 MiB.
    """
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    limits = httpx.Timeout(connect=_CONNECT_S, read=within_s, write=_CONNECT_S, pool=_CONNECT_S)
    try:
        async with (
            asyncio.timeout(within_s),
            httpx.AsyncClient(timeout=limits, trust_env=False, transport=transport) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise NoAnswer("broken")
            return Answer(response.status_code, bytes(body))
    except httpx.ConnectError as error:
        raise NoAnswer("refused") from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise NoAnswer("silent") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer("broken") from error


async def connect(host: str, port: int, within_s: float) -> None:
    """Open a TCP connection and close it.

    Raises:
        NoAnswer: `refused` when nothing listens, `silent` when nothing comes back, `unreachable` without a way.
    """
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError as error:
        raise NoAnswer("refused") from error
    except TimeoutError as error:
        raise NoAnswer("silent") from error
    except OSError as error:
        raise NoAnswer("unreachable") from error
    writer.close()


async def addresses_of(host: str) -> list[str]:
    """The addresses of a name; none where it has none or the resolver is silent.

    The resolver's own patience is longer than ours, and asyncio would wait for its thread at the end.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str]) -> None:
        if not found.done():
            found.set_result(addresses)

    def resolve() -> None:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, UnicodeError):
            addresses = []
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, addresses)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        async with asyncio.timeout(_RESOLVE_S):
            return await found
    except TimeoutError:
        return []
