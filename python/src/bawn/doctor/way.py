"""The way to a server: tailscaled, the tailnet's policy, the name, the port."""

import ipaddress
import sys
from datetime import UTC, datetime
from pathlib import Path

from bawn.doctor.asking import NoAnswer, addresses_of, connect
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.tailscaled import Status, ask_tailscaled, check_running, is_there
from bawn.service.tailnet import in_tailnet


class Way:
    """From this machine to the gateway."""

    def __init__(self, socket: Path) -> None:
        """`socket` is tailscaled's."""
        self._socket = socket
        self._host, self._port = "", 0
        self._addresses: list[str] = []
        self._status: Status | None = None

    def leads_to(self, host: str, port: int) -> None:
        """Say where, when the settings that tell it have been read."""
        self._host, self._port = host, port

    def hops(self) -> list[Hop]:
        """In order. A peer that the policy hides has no name either, so the policy comes first."""
        return [
            Hop("tailscaled", self.tailscaled, 10),
            Hop("tailnet policy", self.policy),
            Hop("name of the gateway", self.name),
            Hop("port of the gateway", self.port, 15),
        ]

    async def tailscaled(self) -> Seen:
        """The daemon runs and is in its tailnet, where the way leads through one."""
        address = _address(self._host)
        if self._host == "localhost" or (address is not None and address.is_loopback):
            return not_looked("the gateway is on this machine")
        self._addresses = [self._host] if address is not None else await addresses_of(self._host)
        if self._addresses and not any(in_tailnet(one) for one in self._addresses):
            return not_looked("the gateway is not in a tailnet")
        if sys.platform == "darwin" and not is_there(self._socket):
            return not_looked("Tailscale's app has no socket to ask it")
        try:
            self._status = await ask_tailscaled(self._socket)
        except Fault as fault:
            if self._addresses:
                raise
            raise Fault(
                fault.code,
                f"{fault.wrong} The gateway's name, {self._host}, is unknown too.",
                f"{fault.mend} If the gateway is in no tailnet, mend the name in gateway_url.",
            ) from fault
        check_running(self._status, datetime.now(UTC))
        return Seen("in the tailnet" if self._status.coordinated else "in the tailnet; its server is not reached now")

    async def policy(self) -> Seen:
        """The gateway is a peer that is joined with us, and is there."""
        if self._status is None:
            return not_looked("no tailnet on the way")
        peer = self._status.peer_called(self._host, self._addresses)
        if peer is None:
            raise Fault(
                "gateway_not_visible",
                f"No node {self._host} is visible in the tailnet from here: the policy gives this machine nothing "
                "there, or the gateway has not joined, or gateway_url names it wrongly.",
                "Ask whoever runs the tailnet whether this machine belongs to a person of the fleet (`bawn fleet show` "
                "says who reaches what), and on the gateway `tailscale status`.",
            )
        if peer.expired:
            raise Fault(
                "gateway_key_expired",
                "The gateway's own key in the tailnet has expired.",
                "Whoever runs the gateway joins it again: `sudo tailscale up` with a fresh key.",
            )
        if not peer.online and self._status.coordinated:  # else it is old news
            raise Fault(
                "gateway_offline",
                "The gateway is known in the tailnet, but is not there now.",
                "Whoever runs the gateway looks whether the host is up and its tailscaled runs.",
            )
        return Seen("the gateway is visible")

    async def name(self) -> Seen:
        """The gateway's name has the address that the tailnet gave it."""
        if _address(self._host) is not None:
            return not_looked("gateway_url holds an address")
        self._addresses = await addresses_of(self._host)
        peer = None if self._status is None else self._status.peer_called(self._host, ())
        if not self._addresses:
            tailnet = None if self._status is None else self._status.current_tailnet
            if tailnet is not None and not tailnet.magic_dns_enabled:
                mend = "MagicDNS is off in this tailnet: whoever runs it switches it on."
            elif self._status is not None:
                mend = (
                    "Let the system use MagicDNS: `sudo tailscale set --accept-dns=true`; on Linux "
                    "`resolvectl status` shows whether names of the tailnet go to tailscaled."
                )
            else:
                mend = "Mend the name in gateway_url, or this machine's DNS."
            raise Fault("name_unknown", f"The gateway's name, {self._host}, has no address here.", mend)
        if peer is not None and not set(self._addresses) & set(peer.tailscale_ips or []):
            raise Fault(
                "name_elsewhere",
                f"{self._host} has an address here that is not the gateway's in the tailnet.",
                "Look for an old entry in /etc/hosts, or for another DNS server that knows this name.",
            )
        return Seen("has an address")

    async def port(self) -> Seen:
        """Something accepts connections there."""
        where = f"{self._host}:{self._port}"
        try:
            # The first connection after a node has joined takes seconds.
            await connect(self._host, self._port, 12)
        except NoAnswer as error:
            if error.why == "refused":
                raise Fault(
                    "gateway_stopped",
                    f"Nothing listens at {where}: the gateway is not running.",
                    "On the gateway host, `sudo systemctl start bawn-gateway` and `journalctl -u bawn-gateway`; on one "
                    "machine, `make up`.",
                ) from error
            raise Fault(
                "gateway_unreachable",
                f"No connection to {where} comes about: the host is down, or a firewall or the tailnet's policy "
                "drops it.",
                "On the gateway host, `bawn doctor`; `bawn fleet show` says who may reach the gateway. In a tailnet, "
                "`tailscale netcheck` here says whether this machine is well connected.",
            ) from error
        return Seen(f"{where} accepts connections")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
