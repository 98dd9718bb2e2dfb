"""Networks of a set of hosts: a namespace for each, on bridges that nothing of the machine itself is on."""

import itertools
import os
import subprocess
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = itertools.count()


@dataclass(frozen=True)
class Network:
    """A bridge, and what a host's interface on it is called."""

    interface: str
    """Name of the interface in every host."""
    v4: str
    """Prefix of three bytes, such as `10.88.0`; hosts count from 1."""
    v6: str
    """Prefix of 64 bits, such as `fd88:0:0:1`."""


UNDERLAY: Final = Network("eth0", "10.88.0", "fd88:0:0:1")
"""What stands for the internet and a provider's network."""
TAILNET: Final = Network("tailscale0", "100.64.0", "fd7a:115c:a1e0:0")
"""A plain wire in the tailnet's place, with its addresses and its interface's name."""


class Networks:
    """Bridges, and a network namespace for each host on them. Gone after `close`."""

    def __init__(self, *networks: Network) -> None:
        self.networks = networks
        self._prefix = f"bawn-{os.getpid()}-{next(_NUMBERS)}"
        self._hosts: dict[str, int] = {}
        self._bridges = f"{self._prefix}-net"
        _ip("netns", "add", self._bridges)
        for number in range(len(networks)):
            _ip("-n", self._bridges, "link", "add", f"br{number}", "type", "bridge")
            # Without a neighbour that speaks spanning tree, a port would wait half a minute before it forwards.
            _ip("-n", self._bridges, "link", "set", f"br{number}", "type", "bridge", "stp_state", "0")
            _ip("-n", self._bridges, "link", "set", f"br{number}", "up")

    def join(self, host: str) -> str:
        """Give `host` a namespace with an interface on each network; the namespace's path."""
        self._hosts[host] = len(self._hosts) + 1
        space = self.namespace(host)
        _ip("netns", "add", space)
        _ip("-n", space, "link", "set", "lo", "up")
        for number, network in enumerate(self.networks):
            port = f"v{number}-{self._hosts[host]}"
            wire = ("type", "veth", "peer", "name", network.interface, "netns", space)
            _ip("link", "add", port, "netns", self._bridges, *wire)
            _ip("-n", self._bridges, "link", "set", port, "master", f"br{number}", "up")
            self.connect(host, network)
        return f"/run/netns/{space}"

    def connect(self, host: str, network: Network) -> None:
        """Bring the host's interface up, with its addresses."""
        space, v6 = self.namespace(host), self.address(host, network, 6)
        _ip("-n", space, "link", "set", network.interface, "up")
        _ip("-n", space, "addr", "replace", f"{self.address(host, network)}/24", "dev", network.interface)
        _ip("-n", space, "addr", "replace", f"{v6}/64", "dev", network.interface, "nodad")

    def move(self, host: str, network: Network, number: int) -> None:
        """Give the host other addresses, as a laptop has in another place."""
        self.disconnect(host, network)
        self._hosts[host] = number
        self.connect(host, network)

    def disconnect(self, host: str, network: Network) -> None:
        """Take the host's interface down, and its addresses with it."""
        _ip("-n", self.namespace(host), "addr", "flush", "dev", network.interface)
        _ip("-n", self.namespace(host), "link", "set", network.interface, "down")

    def namespace(self, host: str) -> str:
        """Name of the host's namespace."""
        return f"{self._prefix}-{host}"

    def address(self, host: str, network: Network, version: int = 4) -> str:
        """The host's address on a network."""
        number = self._hosts[host]
        return f"{network.v4}.{number}" if version == 4 else f"{network.v6}::{number:x}"

    def close(self) -> None:
        """Remove everything."""
        for space in (*map(self.namespace, self._hosts), self._bridges):
            _ip("netns", "delete", space)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
