"""The example team on a real tailnet, joined: what every test here starts from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import scenarios.tailnet
from bawn.fleet.reachability import Allow, allowed
from bawn.fleet.reading import to_fleet
from support import tailnet_binaries
from support.hosts import tree
from support.hosts.doors import OF_NO_RULE, listening
from support.hosts.tailnet import TailnetHosts


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TailnetHosts]:
    """All of them after the whole scenario of the VM test: joined, allowed, denied, asked, rebooted."""
    reason = tree.missing() or tailnet_binaries.why_none()
    if reason is None and not Path("/dev/net/tun").exists():
        reason = "a tailnet needs /dev/net/tun"
    if reason is not None:
        pytest.skip(reason)
    hosts = TailnetHosts(Path(tmp_path_factory.mktemp("tailnet")))
    try:
        machines = hosts.machines
        hosts.start(*machines)
        scenarios.tailnet.run(*(machines[name] for name in hosts.NAMES), hosts.underlays())
        hosts.gateway.succeed("systemctl start bawn-indexer.service")
        yield hosts
    finally:
        hosts.close()


@pytest.fixture(scope="session")
def rules(hosts: TailnetHosts) -> list[Allow]:
    """What the fleet allows."""
    return allowed(to_fleet(json.loads(hosts.fleet.read_text(encoding="utf-8")), origin="test"))


@pytest.fixture(scope="class")
def ports(hosts: TailnetHosts, rules: list[Allow]) -> Iterator[list[int]]:
    """Every port of any rule, and some of none. On all of them something listens, on every address of every machine."""
    ports = sorted({rule.port for rule in rules} | set(OF_NO_RULE))
    with listening(hosts, ports):
        yield ports
