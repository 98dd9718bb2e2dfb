"""The example team's four hosts, joined by a plain wire in the tailnet's place."""

from pathlib import Path
from typing import Final

from support.hosts import golden_host, third_party
from support.hosts.network import TAILNET
from support.hosts.site import DOMAIN, Site

_MESH: Final = ("tailscaled.service", "tailscaled-autoconnect.service")
_STAND_IN: Final = """#!/bin/bash
# The wire's answer to `tailscale ip -4`.
exec cat /run/tailnet-address 2>/dev/null
"""


class WiredHosts(Site):
    """Headscale, gateway, GPU host and laptop: `bawn`'s own units, on addresses that the tailnet would give.

    What stands in for the mesh is a second bridge whose interface in each host is called `tailscale0`, a hosts file in
    MagicDNS's place, and a program that says the address. Firewalls, units, settings and credentials are the real ones.
    The gateway goes by API keys alone, since nobody here could tell it who is calling.
    """

    def __init__(self, folder: Path, *, gpu: str = "gpu-without-card", gateway: str = "gateway") -> None:
        """Lay them out in `folder`; `gpu` and `gateway` are the folders of the golden files that these hosts have."""
        super().__init__(folder, {"laptop": self.PERSON}, TAILNET)
        nodes = {"headscale": "headscale", "gateway": "gateway", "gpu": "gpu", "laptop": "ada-laptop"}
        names = "".join(f"{self.address(host)} {node}.{DOMAIN}\n" for host, node in nodes.items())
        for host, machine in self.machines.items():
            machine.write("/opt/tailnet/bin/tailscale", _STAND_IN, mode=0o755)
            golden_host.lay(
                machine,
                {"gpu": gpu, "gateway": gateway}.get(host, host),
                node=nodes[host],
                settings={"gateway": {"identity": "key"}},
                programs={"tailscale": "/opt/tailnet"} | (third_party.install(machine) if host == "gateway" else {}),
                without=(*_MESH, "headscale.service", *third_party.left_out()),
            )
            machine.write("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{names}")

    def address(self, host: str, version: int = 4) -> str:
        """The host's address on the wire in the tailnet's place."""
        return self.networks.address(host, TAILNET, version)

    def start(self, *hosts: str, joined: bool = True) -> None:
        """Boot hosts; without `joined` they have no tailnet address yet."""
        for host in hosts:
            self.machines[host].start()
            if joined:
                self.join(host)

    def join(self, host: str) -> None:
        """Give a host its tailnet address."""
        self.networks.connect(host, TAILNET)
        self.machines[host].succeed(f"echo {self.address(host)} > /run/tailnet-address")
