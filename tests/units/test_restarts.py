"""`systemctl restart` under load loses no request."""

import json
import subprocess

import pytest

from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("host", "unit"), [("gateway", "bawn-gateway.service"), ("gpu", "bawn-model-server.service")]
)
def test_a_restart_under_load_loses_no_request(hosts: WiredHosts, host: str, unit: str) -> None:
    asking = subprocess.Popen(
        hosts.laptop.argv("sh", "-c", hosts.chat_command(streams=6, seconds=12, tokens=24)),
        stdout=subprocess.PIPE,
        text=True,
    )
    machine = hosts.machines[host]
    process = machine.property_of(unit, "MainPID")
    for _ in range(2):
        # Streams are under way before each restart.
        hosts.gpu.wait_until_succeeds(
            f"curl -s -H 'Authorization: Bearer {hosts.token}' http://{hosts.address('gpu')}:8000/slots | "
            "jq -e 'map(select(.state != \"idle\")) | length > 0'",
            timeout=30,
        )
        machine.succeed(f"systemctl restart {unit}", timeout=90)
    output, _ = asking.communicate(timeout=120)
    told = json.loads(output)
    assert machine.property_of(unit, "MainPID") != process
    assert told["asked"] > 6
    assert told["lost"] == []
