"""What the tailnet knows: names, the policy, and who is in it no more. Who reaches whom: test_without_headscale.py."""

import json

import pytest

import scenarios.tailnet
from support.hosts.doors import MEMBERS
from support.hosts.tailnet import NODES, TailnetHosts

pytestmark = pytest.mark.timeout(600, func_only=True)


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
        scenarios.tailnet.log_out(bob)
        user = json.loads(headscale.succeed("headscale users create stranger --output json"))["id"]
        key = json.loads(headscale.succeed(f"headscale preauthkeys create --user {user} --reusable --output json"))[
            "key"
        ]
        refused = scenarios.tailnet.try_to_join(bob, "stranger", key)
        assert not refused, refused
        assert hosts.accepted("bob", doors) == []
        headscale.succeed(
            f"headscale nodes delete --identifier {node_number(hosts, 'stranger')} --force",
            f"headscale users destroy --identifier {user} --force",
        )
    finally:
        scenarios.tailnet.join_laptop(headscale, bob, NODES["bob"], again=True)
    scenarios.tailnet.until_it_connects(bob, *gateway)


def node_number(hosts: TailnetHosts, name: str) -> int:
    """Headscale's number of a node."""
    listed = json.loads(hosts.headscale.succeed("headscale nodes list --output json"))
    return next(node["id"] for node in listed if node["given_name"] == name)
