"""The gateway host under load, inside a hard 2 GiB and on one CPU, each unit inside its own cap."""

import pytest

from support.hosts.machine import control_groups
from support.hosts.memory import Caps
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300)

UNITS = ["bawn-gateway.service", "bawn-indexer.service"]
MIB = 1024 * 1024


def test_the_gateway_host_fits_its_memory_and_its_cpu(hosts: WiredHosts, capsys: pytest.CaptureFixture[str]) -> None:
    if "memory" not in control_groups():
        pytest.skip("memory limits of hosts are set through version 1 of control groups, which this machine has not")
    caps = Caps(hosts.gateway, *UNITS)
    caps.restart("bawn-gateway.service")
    hosts.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    # A fresh index of everything, while answers stream.
    hosts.gateway.succeed("rm -r /var/lib/bawn-index/work")
    caps.restart("bawn-indexer.service")
    with hosts.chatting(streams=32, tokens=8) as told:
        done = "systemctl show --property=ActiveState --value bawn-indexer.service | grep inactive"
        hosts.gateway.wait_until_succeeds(done, timeout=120)
    with capsys.disabled():
        whole = f"{caps.peak() // MIB} of 2048 MiB for the whole host, page cache included"
        units = ", ".join(f"{unit} {caps.peak(unit) // MIB} of {caps.limits[unit] // MIB} MiB" for unit in UNITS)
        print(f"\n  peaks of memory on the gateway host: {whole}; {units}")
    assert told["lost"] == []
    assert hosts.gateway.property_of("bawn-indexer.service", "Result") == "success"
    assert caps.killed() == 0
    for unit in UNITS:
        assert 10 * MIB < caps.peak(unit) <= caps.limits[unit]
        assert caps.killed(unit) == 0
    assert "Cpus_allowed_list:\t0\n" in hosts.gateway.succeed("cat /proc/1/status")
