"""The gateway host under load, inside a hard 2 GiB and on one CPU, each unit inside its own cap."""

import subprocess

import pytest

from support.hosts.memory import Caps
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300)

UNITS = ["bawn-gateway.service", "bawn-indexer.service"]
MIB = 1024 * 1024


def test_the_gateway_host_fits_its_memory_and_its_cpu(hosts: WiredHosts, capsys: pytest.CaptureFixture[str]) -> None:
    caps = Caps(hosts.gateway, UNITS)
    with caps.enforced():
        # A fresh index of everything, while answers stream.
        hosts.gateway.succeed("systemctl restart bawn-gateway.service; rm -r /var/lib/bawn-index/work")
        indexing = subprocess.Popen(hosts.gateway.argv("systemctl", "start", "bawn-indexer.service"))
        told = hosts.chat(streams=32, seconds=5, tokens=8)
        assert indexing.wait(timeout=120) == 0
    with capsys.disabled():
        whole = f"{caps.peak() // MIB} of 2048 MiB for the whole host, page cache included"
        units = ", ".join(f"{unit} {caps.peak(unit) // MIB} of {caps.limits[unit] // MIB} MiB" for unit in UNITS)
        print(f"\n  peaks: {whole}; {units}")
    assert told["lost"] == []
    assert caps.killed() == 0
    for unit in UNITS:
        assert 10 * MIB < caps.peak(unit) <= caps.limits[unit]
        assert caps.killed(unit) == 0
    assert hosts.gateway.succeed("nproc").strip() == "1"
