"""Who may speak to the bridge: programs of this laptop that hold its token, and no web page."""

import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from bawn.contracts.errors import Forbidden, RequestError, Unauthorized

_OPEN_PATHS: Final = frozenset(("/", "/health", "/ready"))
"""Served without a token; the rules for Host and Origin hold for them too."""


def loopback_hosts(port: int, further: Iterable[str] = ()) -> frozenset[str]:
    """Values of the `Host` header that a program of this laptop sends."""
    names = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}
    return frozenset(names | {name.lower() for name in further})


class Access:
    """The rules, in the order in which they are checked."""

    def __init__(self, hosts: frozenset[str], token: str) -> None:
        self._hosts = hosts
        self._origins = frozenset(f"{scheme}://{host}" for host in hosts for scheme in ("http", "https"))
        self._token = token.encode()

    def __repr__(self) -> str:
        return f"Access(hosts={sorted(self._hosts)})"

    def refusal(self, path: str, headers: Mapping[bytes, list[bytes]]) -> RequestError | None:
        """Why a request is refused; None where it is not. `headers` are lower-case."""
        return self._foreign(headers) or (None if path in _OPEN_PATHS else self._unknown(headers))

    def _foreign(self, headers: Mapping[bytes, list[bytes]]) -> RequestError | None:
        # A page that rebinds its name to 127.0.0.1 sends that name as Host.
        hosts = [value.decode("latin-1").lower() for value in headers.get(b"host", [])]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return Forbidden(
                "The bridge answers only to the names of this machine (Host header); "
                "add others to allowed_hosts in bridge.toml."
            )
        if any(value.decode("latin-1").lower() not in self._origins for value in headers.get(b"origin", [])):
            return Forbidden("The bridge takes no requests from web pages (Origin header).")
        # A page on another port of localhost is as foreign as any, and its GETs carry no Origin.
        if any(value.lower() in (b"cross-site", b"same-site") for value in headers.get(b"sec-fetch-site", [])):
            return Forbidden("The bridge takes no requests from web pages (Sec-Fetch-Site header).")
        return None

    def _unknown(self, headers: Mapping[bytes, list[bytes]]) -> RequestError | None:
        given = [value.strip() for value in headers.get(b"x-api-key", [])]
        for value in headers.get(b"authorization", []):
            scheme, _, credentials = value.partition(b" ")
            if scheme.lower() == b"bearer":
                given.append(credentials.strip())
        if any(hmac.compare_digest(one, self._token) for one in given):
            return None
        what = "The bridge's token is wrong" if given else "The bridge's token is missing"
        return Unauthorized(f"{what}: `bawn connect opencode` or `bawn connect continue` writes it.")
