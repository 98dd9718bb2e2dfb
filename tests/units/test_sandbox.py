"""Each sandbox, attacked from inside by a program in the place of the unit's own; and the same without a sandbox."""

import json

import pytest

from support.hosts import golden_host
from support.hosts.machine import Machine
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

PYTHON = f"{golden_host.BAWN}/env/bin/python"
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
    hosts.headscale.succeed("nft insert rule inet nixos-fw input-allow tcp dport 9 accept")
    server = "import socket; s = socket.create_server(('0.0.0.0', 9)); [s.accept() for _ in range(99)]"
    hosts.headscale.succeed(f'systemd-run --quiet --unit=outside python3 -c "{server}"')
    hosts.headscale.wait_for_open_port(9, "127.0.0.1", timeout=20)
    for machine in hosts.machines.values():
        machine.write("/opt/test/attacks.py", (golden_host.HERE / "attacks.py").read_text(encoding="utf-8"))
        machine.write("/root/private", "mine")
    return hosts.underlay("headscale")


def told(journal: str) -> dict[str, str]:
    lines = [line for line in journal.splitlines() if line.startswith("attacks:")]
    assert lines, f"the attacks were not run:\n{journal[-3000:]}"
    return json.loads(lines[-1].removeprefix("attacks:"))


def attacked(machine: Machine, unit: str, outside: str, files: list[str]) -> dict[str, str]:
    golden_host.override(
        machine,
        unit,
        "[Unit]\nOnSuccess=\nOnFailure=\n[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStartPre=\nExecStart=\n"
        f"ExecStart={PYTHON} /opt/test/attacks.py {outside} {' '.join(files)}\n",
    )
    machine.succeed(f"systemctl daemon-reload; systemctl stop {unit}; systemctl start {unit}")
    journal = machine.journal(unit)
    machine.succeed(f"rm /etc/systemd/system/{unit}.d/test.conf; systemctl daemon-reload")
    return told(journal)


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
    machine = hosts.machines[host]
    files = sorted({file for of, files in UNITS.values() if of == host for file in files})
    run = "systemd-run --quiet --wait --pipe --property=LimitCORE=infinity"
    found = told(machine.succeed(f"{run} {PYTHON} /opt/test/attacks.py {outside} {' '.join(files)}"))
    assert {attack for attack, outcome in found.items() if outcome != "done"} == set(IMPOSSIBLE_HERE)
