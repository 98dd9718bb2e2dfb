"""Who reaches whom, by real connections: every rule of the fleet, and every pair and port that has none."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bawn.fleet.reachability import allowed
from bawn.fleet.reading import to_fleet
from support.hosts.tailnet import NODES, TailnetHosts

pytestmark = pytest.mark.timeout(600, func_only=True)

PORTS = (22, 80, 443, 8000, 8080, 8700, 9100)

LISTENER = """
import contextlib, itertools, socket, sys, threading
ports, addresses = sys.argv[1].split(","), sys.argv[2:]
for port, address in itertools.product(map(int, ports), addresses):
    with contextlib.suppress(OSError):  # the service itself is there
        server = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        threading.Thread(target=lambda server=server: [server.accept() for _ in iter(int, 1)]).start()
"""
MEMBERS = ("gateway", "gpu", "ada", "bob")


@pytest.fixture(scope="module")
def listening(hosts: TailnetHosts) -> Iterator[None]:
    """On every node something listens on every port of every address, so that a deny counts."""
    for name in MEMBERS:
        machine = hosts.machines[name]
        addresses = [where(name, version) for where in (hosts.address, hosts.underlay) for version in (4, 6)]
        machine.write("/opt/test/listener.py", LISTENER)
        arguments = f"{','.join(map(str, PORTS))} 127.0.0.1 {' '.join(addresses)}"
        machine.succeed(f"systemd-run --quiet --unit=everything python3 /opt/test/listener.py {arguments}")
        machine.wait_for_open_port(PORTS[-1], addresses[-1], timeout=20)
        own = [(addresses[0], port) for port in PORTS]
        assert hosts.accepted(name, own) == own
    yield
    for name in MEMBERS:
        hosts.machines[name].succeed("systemctl stop everything.service")


def accepted(hosts: TailnetHosts, targets: dict[str, list[tuple[str, int]]]) -> dict[str, list[tuple[str, int]]]:
    """What connects from each host, all at once: a denied connection takes its whole time."""
    with ThreadPoolExecutor(len(targets)) as pool:
        return dict(zip(targets, pool.map(hosts.accepted, targets, targets.values()), strict=True))


def test_names_of_the_tailnet_resolve_to_its_addresses(hosts: TailnetHosts) -> None:
    for asking, name in (("ada", "gateway"), ("bob", "gateway"), ("gateway", "gpu")):
        found = hosts.machines[asking].succeed(f"getent ahostsv4 {NODES[name]}.tailnet.example.org")
        assert found.split()[0] == hosts.address(name)


def test_the_policy_of_the_fleet_is_in_force_whole_and_without_a_warning(hosts: TailnetHosts) -> None:
    hosts.headscale.succeed("systemctl reload headscale.service")
    wanted = json.loads(hosts.headscale.succeed("cat /etc/headscale/policy.json"))
    in_force = json.loads(hosts.headscale.succeed("cat /var/lib/headscale/policy.json"))
    assert in_force == wanted, "no test had to be left out, now that everybody is there"
    since = hosts.headscale.succeed("date '+%Y-%m-%d %H:%M:%S'").strip()
    hosts.headscale.succeed("systemctl restart headscale.service")
    hosts.headscale.wait_for_open_port(443, timeout=60)
    journal = hosts.headscale.succeed(f"journalctl --unit headscale.service --since '{since}' --output cat")
    assert not [line for line in journal.splitlines() if " WRN " in line and "olic" in line]


@pytest.mark.usefixtures("listening")
def test_every_rule_of_the_fleet_and_nothing_else_connects_on_the_tailnet(hosts: TailnetHosts) -> None:
    rules = {
        (rule.source, rule.target, rule.port)
        for rule in allowed(to_fleet(json.loads(hosts.fleet.read_text(encoding="utf-8")), origin="test"))
        if rule.network == "tailnet" and rule.protocol == "tcp"
    }
    targets, expected = {}, {}
    for source in MEMBERS:
        tries = [(name, v, port) for name in MEMBERS if name != source for v in (4, 6) for port in PORTS]
        targets[source] = [(hosts.address(name, version), port) for name, version, port in tries]
        expected[source] = [
            (hosts.address(name, version), port)
            for name, version, port in tries
            if (NODES[source], NODES[name], port) in rules
        ]
    assert accepted(hosts, targets) == expected


@pytest.mark.usefixtures("listening")
def test_the_network_below_the_tailnet_is_closed_but_for_headscale(hosts: TailnetHosts) -> None:
    targets, expected = {}, {}
    for source in hosts.machines:
        others = [name for name in hosts.machines if name != source]
        targets[source] = [(hosts.underlay(name, v), port) for name in others for v in (4, 6) for port in PORTS]
        expected[source] = [
            (hosts.underlay("headscale", v), port) for v in (4, 6) for port in (22, 443) if source != "headscale"
        ]
    assert accepted(hosts, targets) == expected
