"""Each sandbox, attacked from inside by a program in the place of the unit's own; and the same without a sandbox."""

import pytest

from support.hosts.attacking import attacked, attacked_without_a_sandbox, listen_outside, prepare
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

IMPOSSIBLE_HERE = {"load a kernel module": "a host in systemd-nspawn may not load modules, sandbox or not"}
"""Attacks that fail without a sandbox too."""

UNITS = {
    # unit: (host, files that belong to others)
    "bawn-gateway.service": ("gateway", ["/var/lib/bawn-secrets/token-gpu", "/var/lib/bawn-index/work/code/meta.json"]),
    "bawn-indexer.service": ("gateway", ["/var/lib/bawn-secrets/token-gpu", "/var/lib/bawn-gateway/keys.json"]),
    "bawn-health-gate.service": ("gateway", ["/var/lib/bawn-secrets/token-gpu", "/var/lib/bawn-gateway/keys.json"]),
    "bawn-model-server.service": ("gpu", ["/var/lib/bawn-secrets/token"]),
}


@pytest.fixture(scope="module")
def outside(hosts: WiredHosts) -> str:
    """Address on the provider's network where something accepts connections on port 9."""
    listen_outside(hosts.headscale)
    for machine in hosts.machines.values():
        prepare(machine)
    return hosts.underlay("headscale")


@pytest.mark.parametrize("unit", UNITS)
def test_every_attack_from_inside_a_unit_is_refused(hosts: WiredHosts, outside: str, unit: str) -> None:
    host, files = UNITS[unit]
    machine = hosts.machines[host]
    for file in files:
        machine.succeed(f"test -s {file}")
    found = attacked(machine, unit, outside, files)
    assert len(found) > 15
    assert [attack for attack, outcome in found.items() if outcome == "done"] == []


@pytest.mark.parametrize("host", ["gateway", "gpu"])
def test_the_same_attacks_succeed_without_a_sandbox(hosts: WiredHosts, outside: str, host: str) -> None:
    files = sorted({file for of, files in UNITS.values() if of == host for file in files})
    found = attacked_without_a_sandbox(hosts.machines[host], outside, files)
    assert {attack for attack, outcome in found.items() if outcome != "done"} == set(IMPOSSIBLE_HERE)
