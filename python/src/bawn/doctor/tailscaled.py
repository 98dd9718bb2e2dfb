"""What this machine's tailscaled says of itself, over its LocalAPI (tailscale.com/ipn/ipnstate, `Status`)."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import msgspec

from bawn.doctor.asking import NoAnswer, ask
from bawn.doctor.hops import Fault

SOCKET: Final = Path("/var/run/tailscaled.socket" if sys.platform == "darwin" else "/var/run/tailscale/tailscaled.sock")
_URL: Final = "http://local-tailscaled.sock/localapi/v0/status"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Go's zero time lies before: a key that doesn't expire."""


class Node(msgspec.Struct, frozen=True, rename="pascal"):
    """This node, or a peer. Peers that no policy rule joins with us are not there."""

    dns_name: str = msgspec.field(name="DNSName", default="")
    tailscale_ips: list[str] | None = msgspec.field(name="TailscaleIPs", default=None)
    online: bool = False
    expired: bool = False
    key_expiry: datetime | None = None

    @property
    def name(self) -> str:
        """Its name in MagicDNS."""
        return self.dns_name.rstrip(".").lower()

    def is_called(self, host: str, addresses: Iterable[str]) -> bool:
        """Whether a URL's host, or one of its addresses, is this node."""
        own, wanted = self.tailscale_ips or [], host.rstrip(".").lower()
        named = bool(self.name) and wanted in (self.name, self.name.partition(".")[0])
        return named or any(address in own for address in (host, *addresses))


class Tailnet(msgspec.Struct, frozen=True, rename="pascal"):
    """What the coordinating server says of the tailnet."""

    magic_dns_enabled: bool = msgspec.field(name="MagicDNSEnabled", default=False)


class Status(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of the status that is looked at: no URL to log in, no names of people."""

    backend_state: str = ""
    self: Node | None = None
    peer: dict[str, Node] | None = None
    current_tailnet: Tailnet | None = None

    @property
    def coordinated(self) -> bool:
        """Whether the server that coordinates the tailnet is reached now; connections go on without it for hours."""
        return self.self is None or self.self.online

    def peer_called(self, host: str, addresses: Iterable[str]) -> Node | None:
        """The peer, or this node itself, that a URL's host means."""
        nodes = [*(self.peer or {}).values(), *([self.self] if self.self else [])]
        return next((node for node in nodes if node.is_called(host, addresses)), None)


async def ask_tailscaled(socket: Path) -> Status:
    """The status of the daemon behind `socket`.

    Raises:
        Fault: it doesn't run, or speaks otherwise.
    """
    start = "Start it with `sudo systemctl start tailscaled`, and see `tailscale status`."
    if not is_there(socket):
        raise Fault("tailscaled_absent", f"tailscaled isn't running on this machine: {socket} isn't there.", start)
    try:
        answer = await ask(_URL, transport=httpx.AsyncHTTPTransport(uds=str(socket)))
    except NoAnswer as error:
        raise Fault("tailscaled_silent", f"tailscaled doesn't answer on {socket}.", start) from error
    try:
        if answer.status == 200:
            return msgspec.json.decode(answer.body, type=Status)
    except msgspec.DecodeError:
        pass
    raise Fault("tailscaled_strange", f"What answers on {socket} is not a tailscaled that this version knows.", start)


def is_there(socket: Path) -> bool:
    """Whether a daemon has made its socket."""
    return socket.exists()


def check_running(status: Status, now: datetime) -> None:
    """Refuse a daemon that isn't in its tailnet.

    Raises:
        Fault: what is missing.
    """
    state, own = status.backend_state, status.self
    again = "Join again: `sudo tailscale up` with this machine's login server, or a fresh key from whoever runs it."
    if own is not None and (own.expired or (own.key_expiry is not None and _NEVER < own.key_expiry < now)):
        raise Fault("node_key_expired", "This machine's key in the tailnet has expired.", again)
    if state == "NeedsLogin":
        raise Fault("needs_login", "This machine is not logged in to the tailnet.", again)
    if state == "NeedsMachineAuth":
        raise Fault(
            "needs_approval",
            "This machine waits to be let into the tailnet.",
            "Ask whoever runs the tailnet to approve it.",
        )
    if state == "Stopped":
        raise Fault("tailscale_down", "Tailscale is switched off on this machine.", "Run `sudo tailscale up`.")
    if state != "Running":
        raise Fault(
            "tailscale_starting",
            f"tailscaled is not ready yet (its state is {state if state.isalpha() else 'unknown'}).",
            "Wait a minute and try again; then `tailscale status` tells what it waits for.",
        )
