"""The gateway host under load, inside a hard 2 GiB and on one CPU, each unit inside its own cap."""

import json
from collections.abc import Callable

import pytest

from support.hosts import third_party
from support.hosts.machine import Machine, control_groups
from support.hosts.memory import Caps
from support.hosts.wired import WiredHosts
from support.left_out import LEFT_OUT

pytestmark = pytest.mark.timeout(300, func_only=True)

OURS = ["bawn-gateway.service", "bawn-indexer.service"]
MIB = 1024 * 1024


def ask_searxng(machine: Machine) -> None:
    """A search, which no engine answers here."""
    machine.wait_until_succeeds("curl --silent --fail http://127.0.0.1:8888/healthz", timeout=120)
    found = machine.succeed(
        "curl --silent --fail --max-time 60 --data 'q=bawn&format=json' http://127.0.0.1:8888/search"
    )
    assert json.loads(found)["query"] == "bawn"


def test_the_gateway_host_fits_its_memory_and_its_cpu(
    hosts: WiredHosts, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    if "memory" not in control_groups():
        pytest.skip("memory limits of hosts are set through version 1 of control groups, which this machine has not")
    gateway = hosts.gateway
    units = list(OURS)
    units += ["searx.service"] if third_party.searxng() else []
    caps = Caps(gateway, *units)
    for unit in units:
        if unit != "bawn-indexer.service":
            caps.restart(unit)
    gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    if "searx.service" in units:
        ask_searxng(gateway)
    # A fresh index of everything, while answers stream.
    gateway.succeed("rm -r /var/lib/bawn-index/work")
    caps.restart("bawn-indexer.service")
    with hosts.chatting(streams=32, tokens=8) as told:
        done = "systemctl show --property=ActiveState --value bawn-indexer.service | grep inactive"
        gateway.wait_until_succeeds(done, timeout=120)
    with capsys.disabled():
        whole = f"{caps.peak() // MIB} of 2048 MiB for the whole host, page cache included"
        each = ", ".join(f"{unit} {caps.peak(unit) // MIB} of {caps.limits[unit] // MIB} MiB" for unit in units)
        print(f"\n  peaks of memory on the gateway host: {whole}; {each}")
    if "searx.service" not in units:
        record_property(LEFT_OUT, f"the gateway host's memory is measured without SearXNG: {third_party.NO_SEARXNG}")
    assert told["lost"] == []
    assert gateway.property_of("bawn-indexer.service", "Result") == "success"
    assert caps.killed() == 0
    for unit in units:
        assert 10 * MIB < caps.peak(unit) <= caps.limits[unit]
        assert caps.killed(unit) == 0
    assert "Cpus_allowed_list:\t0\n" in gateway.succeed("cat /proc/1/status")
