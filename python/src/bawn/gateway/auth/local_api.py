"""Asking this host's tailscaled over its LocalAPI, a Unix socket (tailscale.com/ipn/localapi; `whois` and `status`).

Reading needs no privilege: tailscaled asks who is at the other end only where something would change.
"""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
import msgspec

from bawn.contracts.errors import IdentityUnknown

_WITHIN_S: Final = 2.0
_MAX_BYTES: Final = 256 * 1024
_MAX_CONNECTIONS: Final = 16
_RETRY_AFTER_S: Final = 1.0
_HOST: Final = "http://local-tailscaled.sock"
"""tailscaled refuses every other name."""


class Peer(msgspec.Struct, frozen=True):
    """A node of the tailnet that called."""

    node: str
    """Its name; whoever has the node can choose it."""
    login: str | None
    """Whose it is; None: nobody's, since it is tagged."""


class _Node(msgspec.Struct, frozen=True, rename="pascal"):
    computed_name: str
    tags: list[str] | None = None
    expired: bool = False


class _Profile(msgspec.Struct, frozen=True, rename="pascal"):
    login_name: str


class _WhoIs(msgspec.Struct, frozen=True, rename="pascal"):
    node: _Node
    user_profile: _Profile


class _Status(msgspec.Struct, frozen=True, rename="pascal"):
    backend_state: str


class LocalApi:
    """A client of one tailscaled; each question has a connection of its own, so that a restart is no matter."""

    def __init__(self, socket: Path, *, within_s: float = _WITHIN_S) -> None:
        """`within_s`: how long one question may take."""
        self._within_s = within_s
        limits = httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=limits)
        each = httpx.Timeout(connect=within_s, read=within_s, write=within_s, pool=within_s)
        self._timeouts = {"timeout": each.as_dict()}

    async def whois(self, address: str, port: int) -> Peer | None:
        """The node behind a remote address; None: no node of the tailnet, or one whose key has expired.

        Raises:
            IdentityUnknown: tailscaled can't tell.
        """
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        try:
            async with asyncio.timeout(self._within_s):
                status, body = await self._get(f"/localapi/v0/whois?addr={quote(shown, safe='')}")
                if status == 404:
                    await self._check_running()
                    return None
                if status != 200:
                    raise _unknown("refuses to tell")
                told = msgspec.json.decode(body, type=_WhoIs)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _unknown("doesn't answer") from error
        except (httpx.HTTPError, OSError) as error:
            raise _unknown("can't be reached") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unknown("answers in no known form") from error
        if told.node.expired:
            return None
        login = None if told.node.tags or not told.user_profile.login_name else told.user_profile.login_name
        return Peer(told.node.computed_name, login)

    async def _check_running(self) -> None:
        # A tailscaled that is starting, or that has lost its own place in the tailnet, knows nobody.
        status, body = await self._get("/localapi/v0/status?peers=false")
        if status != 200 or msgspec.json.decode(body, type=_Status).backend_state != "Running":
            raise _unknown("is not in its tailnet")

    async def _get(self, path: str) -> tuple[int, bytes]:
        request = httpx.Request("GET", f"{_HOST}{path}", extensions=self._timeouts)
        response = await self._transport.handle_async_request(request)
        try:
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise _unknown("answers in no known form")
            return response.status_code, bytes(body)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close what is open."""
        await self._transport.aclose()


def _unknown(what: str) -> IdentityUnknown:
    return IdentityUnknown(
        f"The gateway can't tell who is calling: tailscaled on its host {what}.", retry_after=_RETRY_AFTER_S
    )
