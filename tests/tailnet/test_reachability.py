"""Who reaches whom, by real connections: every rule of the fleet, and every pair and port that has none."""

import itertools
import json
from collections.abc import Iterator
from typing import Final, Literal

import pytest

import scenarios.tailnet
from bawn.fleet.reachability import Allow, allowed
from bawn.fleet.reading import to_fleet
from support.hosts import golden_host
from support.hosts.tailnet import NODES, TailnetHosts

pytestmark = pytest.mark.timeout(600, func_only=True)

Protocol = Literal["tcp", "udp"]
Target = tuple[str, int]
"""Address and port."""

PROTOCOLS: Final[tuple[Protocol, ...]] = ("tcp", "udp")
OF_NO_RULE: Final = (80, 8080, 9100)
MEMBERS: Final = ("gateway", "gpu", "ada", "bob")
LISTENER: Final = "/opt/test/listener.py"


@pytest.fixture(scope="module")
def rules(hosts: TailnetHosts) -> list[Allow]:
    """What the fleet allows."""
    return allowed(to_fleet(json.loads(hosts.fleet.read_text(encoding="utf-8")), origin="test"))


@pytest.fixture(scope="module")
def ports(hosts: TailnetHosts, rules: list[Allow]) -> Iterator[list[int]]:
    """Every port of any rule, and some of none. On all of them something listens, on every address of every machine."""
    ports = sorted({rule.port for rule in rules} | set(OF_NO_RULE))
    program = (golden_host.HERE / "listener.py").read_text(encoding="utf-8")
    doors = " ".join(f"{protocol}:{port}" for protocol in ("udp", "tcp") for port in ports)
    for name, machine in hosts.machines.items():
        addresses = [hosts.underlay(name, version) for version in (4, 6)]
        addresses += [hosts.address(name, version) for version in (4, 6) if name in MEMBERS]
        machine.write(LISTENER, program)
        command = f"python3 {LISTENER} {doors} 127.0.0.1 {' '.join(addresses)}"
        machine.succeed(f"systemd-run --quiet --unit=everything {command}")
        machine.wait_for_open_port(ports[-1], addresses[-1], timeout=20)
        # A deny counts only where something would have answered.
        own = list(itertools.product(addresses, ports))
        for protocol in PROTOCOLS:
            assert hosts.accepted(name, own, protocol) == own, f"{name}, {protocol}"
    yield ports
    for machine in hosts.machines.values():
        machine.succeed("systemctl stop everything.service")


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


def test_every_rule_of_the_fleet_and_nothing_else_connects_on_the_tailnet(
    hosts: TailnetHosts, rules: list[Allow], ports: list[int]
) -> None:
    ruled = {(rule.source, rule.target, rule.port, rule.protocol) for rule in rules if rule.network == "tailnet"}
    targets: dict[tuple[str, str], list[Target]] = {}
    expected: dict[tuple[str, str], list[Target]] = {}
    for source, protocol in itertools.product(MEMBERS, PROTOCOLS):
        others = [(name, hosts.address(name, version)) for name in MEMBERS if name != source for version in (4, 6)]
        doors = [(name, address, port) for name, address in others for port in ports]
        targets[source, protocol] = [(address, port) for _, address, port in doors]
        expected[source, protocol] = [
            (address, port) for name, address, port in doors if (NODES[source], NODES[name], port, protocol) in ruled
        ]
    assert hosts.all_accepted(targets) == expected


def test_the_network_below_the_tailnet_is_closed_but_for_headscale(
    hosts: TailnetHosts, rules: list[Allow], ports: list[int]
) -> None:
    public = {(rule.port, rule.protocol) for rule in rules if rule.network == "public"}
    public.add((22, "tcp"))  # by which the one host outside the tailnet is administered
    targets: dict[tuple[str, str], list[Target]] = {}
    expected: dict[tuple[str, str], list[Target]] = {}
    for source, protocol in itertools.product(hosts.machines, PROTOCOLS):
        others = [(name, hosts.underlay(name, version)) for name in hosts.machines for version in (4, 6)]
        doors = [(name, address, port) for name, address in others if name != source for port in ports]
        targets[source, protocol] = [(address, port) for _, address, port in doors]
        expected[source, protocol] = [
            (address, port) for name, address, port in doors if name == "headscale" and (port, protocol) in public
        ]
    assert hosts.all_accepted(targets) == expected


def test_an_expired_node_and_one_of_a_stranger_reach_nothing(hosts: TailnetHosts, ports: list[int]) -> None:
    bob, headscale = hosts.machines["bob"], hosts.headscale
    doors = [(hosts.address(name, v), port) for name in MEMBERS if name != "bob" for v in (4, 6) for port in ports]
    gateway = (hosts.address("gateway"), 8700)
    assert hosts.accepted("bob", [gateway]) == [gateway]
    headscale.succeed(f"headscale nodes expire --identifier {node_number(hosts, NODES['bob'])}")
    bob.wait_until_succeeds("tailscale status --json | jq --exit-status '.Self.Expired'", timeout=30)
    try:
        assert hosts.accepted("bob", doors) == []
        # Somebody whom Headscale knows and the fleet does not.
        bob.succeed("tailscale logout")
        user = json.loads(headscale.succeed("headscale users create stranger --output json"))["id"]
        key = json.loads(headscale.succeed(f"headscale preauthkeys create --user {user} --reusable --output json"))[
            "key"
        ]
        assert not scenarios.tailnet.join_laptop(bob, "stranger", key)
        assert hosts.accepted("bob", doors) == []
        headscale.succeed(
            f"headscale nodes delete --identifier {node_number(hosts, 'stranger')} --force",
            f"headscale users destroy --identifier {user} --force",
        )
    finally:
        key = scenarios.tailnet.make_key(headscale, NODES["bob"], again=True)
        assert not scenarios.tailnet.join_laptop(bob, NODES["bob"], key)
    scenarios.tailnet.until_it_connects(bob, *gateway)


def node_number(hosts: TailnetHosts, name: str) -> int:
    """Headscale's number of a node."""
    listed = json.loads(hosts.headscale.succeed("headscale nodes list --output json"))
    return next(node["id"] for node in listed if node["given_name"] == name)
