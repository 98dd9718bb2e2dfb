"""Who reaches whom, by real connections: every rule of the fleet, and every pair and port that has none."""

import json

import pytest

from bawn.fleet.reachability import allowed
from bawn.fleet.reading import to_fleet
from support.hosts.tailnet import NODES, TailnetHosts

pytestmark = pytest.mark.timeout(600)

PORTS = (22, 80, 443, 8000, 8080, 8700, 9100)

LISTENER = """
import contextlib, socket, sys, threading
for port in map(int, sys.argv[1:]):
    with contextlib.suppress(OSError):  # the service itself is there
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        threading.Thread(target=lambda server=server: [server.accept() for _ in iter(int, 1)]).start()
"""


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


def test_every_rule_of_the_fleet_and_nothing_else_connects_on_the_tailnet(hosts: TailnetHosts) -> None:
    rules = {
        (rule.source, rule.target, rule.port)
        for rule in allowed(to_fleet(json.loads(hosts.fleet.read_text(encoding="utf-8")), origin="test"))
        if rule.network == "tailnet" and rule.protocol == "tcp"
    }
    members = ("gateway", "gpu", "ada", "bob")
    for name in members:
        machine = hosts.machines[name]
        machine.write("/opt/test/listener.py", LISTENER)
        listening = f"systemd-run --quiet --unit=everything python3 /opt/test/listener.py {' '.join(map(str, PORTS))}"
        machine.succeed(listening)
        machine.wait_for_open_port(9100, "127.0.0.1", timeout=20)
        # A deny counts only where something answers: on the node's own address every port does.
        own = [(hosts.address(name), port) for port in PORTS]
        assert hosts.accepted(name, own) == own
    for source in members:
        for version in (4, 6):
            targets = [(hosts.address(name, version), port) for name in members if name != source for port in PORTS]
            expected = [
                (hosts.address(name, version), port)
                for name in members
                if name != source
                for port in PORTS
                # The two services listen on the node's IPv4 address of the tailnet.
                if (NODES[source], NODES[name], port) in rules and (version == 4 or port not in (8000, 8700))
            ]
            assert hosts.accepted(source, targets) == expected, f"from {source}, IPv{version}"


def test_the_network_below_the_tailnet_is_closed_but_for_headscale(hosts: TailnetHosts) -> None:
    for source in hosts.machines:
        for version in (4, 6):
            others = [name for name in hosts.machines if name != source]
            targets = [(hosts.underlay(name, version), port) for name in others for port in PORTS]
            expected = [(hosts.underlay("headscale", version), port) for port in (22, 443) if source != "headscale"]
            assert hosts.accepted(source, targets) == expected, f"from {source}, IPv{version}"
    for name in ("gateway", "gpu", "ada", "bob"):
        hosts.machines[name].succeed("systemctl stop everything.service")
