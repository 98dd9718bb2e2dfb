"""Start order survives any unit starting late, and a power cut of the whole site comes back clean."""

import json
import subprocess

import pytest

from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300)


def test_services_wait_for_the_tailnet_for_each_other_and_for_the_index(unstarted: WiredHosts) -> None:
    hosts = unstarted
    hosts.start("laptop")
    hosts.start("gateway", joined=False)
    hosts.gateway.wait_until_succeeds("journalctl -u bawn-gateway | grep 'Waiting for the tailnet address'", 30)
    assert hosts.gateway.property_of("bawn-gateway.service", "ActiveState") == "activating"
    hosts.give_key()  # before the gateway has ever run
    asking = subprocess.Popen(
        hosts.laptop.argv("sh", "-c", hosts.chat_command(streams=2, seconds=0, tokens=8)),
        stdout=subprocess.PIPE,
        text=True,
    )

    hosts.join("gateway")
    hosts.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    ready = f"curl --silent --output /dev/null --write-out '%{{http_code}}' http://{hosts.address('gateway')}:8700/ready"
    assert hosts.gateway.succeed(ready) == "503", "there is no model server yet"

    hosts.start("gpu", joined=False)
    hosts.gpu.wait_until_succeeds("journalctl -u bawn-model-server | grep 'Waiting for the tailnet address'", 30)
    hosts.join("gpu")
    hosts.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
    told = json.loads(asking.communicate(timeout=120)[0])
    assert (told["asked"], told["lost"]) == (2, [])
    hosts.gateway.wait_until_succeeds(f"test $({ready}) = 200", timeout=30)

    # The index is made by a timer, a minute after boot; nobody needs it in order to start.
    hosts.gateway.succeed("systemctl start bawn-indexer.service")
    hosts.gateway.succeed("bawn search 'keys hashed' --index /var/lib/bawn-index/served")


def test_after_a_power_cut_everything_comes_back_by_itself(unstarted: WiredHosts) -> None:
    hosts = unstarted
    asking = subprocess.Popen(
        hosts.laptop.argv("sh", "-c", hosts.chat_command(streams=4, seconds=20, tokens=64)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # In the middle of answers, and of an index run.
    hosts.gateway.succeed("touch /srv/git/app/.git/refs/heads/main; systemctl start --no-block bawn-indexer.service")
    hosts.gateway.wait_until_succeeds("systemctl is-active bawn-indexer.service || systemctl show -P Result bawn-indexer.service", 20)
    for host in ("gpu", "gateway", "laptop"):
        hosts.machines[host].crash()
    asking.wait(timeout=30)

    hosts.start("gateway", "laptop", "gpu")
    hosts.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
    hosts.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    assert hosts.chat(streams=2)["lost"] == [], "the key and the bridge's token are still good"
    hosts.gateway.succeed("systemctl start bawn-indexer.service")
    hosts.gateway.succeed("bawn search 'keys hashed' --index /var/lib/bawn-index/served")
    for host in ("gpu", "gateway", "laptop"):
        ours = hosts.machines[host].succeed("systemctl list-units --failed --no-legend --plain 'bawn-*'")
        assert [line for line in ours.splitlines() if "generation" not in line and "health-gate" not in line] == []
