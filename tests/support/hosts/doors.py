"""Ports on which something listens on every machine, so that a refused connection was refused by nothing but a rule."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from support.hosts import golden_host
from support.hosts.tailnet import TailnetHosts

Protocol = Literal["tcp", "udp"]
Target = tuple[str, int]
"""Address and port."""

PROTOCOLS: Final[tuple[Protocol, ...]] = ("tcp", "udp")
OF_NO_RULE: Final = (80, 8080, 9100)
MEMBERS: Final = ("gateway", "gpu", "ada", "bob")
"""Machines that are in the tailnet."""
_LISTENER: Final = "/opt/test/listener.py"


@contextmanager
def listening(hosts: TailnetHosts, ports: Sequence[int]) -> Iterator[None]:
    """On all of `ports` something listens, on every address of every machine."""
    program = (golden_host.HERE / "listener.py").read_text(encoding="utf-8")
    doors = " ".join(f"{protocol}:{port}" for protocol in ("udp", "tcp") for port in ports)
    for name, machine in hosts.machines.items():
        addresses = [hosts.underlay(name, version) for version in (4, 6)]
        addresses += [hosts.address(name, version) for version in (4, 6) if name in MEMBERS]
        machine.write(_LISTENER, program)
        command = f"python3 {_LISTENER} {doors} 127.0.0.1 {' '.join(addresses)}"
        machine.succeed(f"systemd-run --quiet --unit=everything {command}")
        machine.wait_for_open_port(ports[-1], addresses[-1], timeout=20)
        # A deny counts only where something would have answered.
        own = list(itertools.product(addresses, ports))
        for protocol in PROTOCOLS:
            assert hosts.accepted(name, own, protocol) == own, f"{name}, {protocol}"
    yield
    for machine in hosts.machines.values():
        machine.succeed("systemctl stop everything.service")
