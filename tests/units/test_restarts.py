"""`systemctl restart` under load loses no request."""

import pytest

from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)


@pytest.mark.parametrize(("host", "unit"), [("gateway", "bawn-gateway.service"), ("gpu", "bawn-model-server.service")])
def test_a_restart_under_load_loses_no_request(hosts: WiredHosts, host: str, unit: str) -> None:
    machine = hosts.machines[host]
    process = machine.property_of(unit, "MainPID")
    slots = f"curl --silent --header 'Authorization: Bearer {hosts.token}' http://{hosts.address('gpu')}:8000/slots"
    with hosts.chatting(streams=3, tokens=12) as told:
        for _ in range(2):
            # Streams are under way before each restart.
            hosts.gpu.wait_until_succeeds(f"{slots} | jq -e 'any(.state != \"idle\")'", timeout=60)
            machine.succeed(f"systemctl restart {unit}", timeout=90)
        hosts.gpu.wait_until_succeeds(f"{slots} | jq -e 'any(.state != \"idle\")'", timeout=60)
    assert machine.property_of(unit, "MainPID") != process
    assert told["asked"] > 3
    assert told["lost"] == []
