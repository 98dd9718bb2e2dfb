"""Start order survives any unit starting late, and a power cut of the whole site comes back clean."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)


def test_services_wait_for_the_tailnet_for_each_other_and_for_the_index(unstarted: WiredHosts) -> None:
    hosts = unstarted
    hosts.start("laptop")
    hosts.start("gateway", joined=False)
    hosts.gateway.wait_until_succeeds("journalctl -u bawn-gateway | grep 'Waiting for the tailnet address'", 30)
    assert hosts.gateway.property_of("bawn-gateway.service", "ActiveState") == "activating"
    hosts.give_key()  # before the gateway has ever run
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(hosts.chat, streams=2, tokens=8)
        hosts.join("gateway")
        hosts.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
        ready = f"curl --silent --output /dev/null --write-out '%{{http_code}}' http://{hosts.address('gateway')}:8700/ready"
        assert hosts.gateway.succeed(ready) == "503", "there is no model server yet"

        hosts.start("gpu", joined=False)
        hosts.gpu.wait_until_succeeds("journalctl -u bawn-model-server | grep 'Waiting for the tailnet address'", 30)
        hosts.join("gpu")
        hosts.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
        told = asking.result(timeout=120)
        assert (told["asked"], told["lost"]) == (2, [])

    # The index is made by a timer, a minute after boot; nobody needs it in order to start.
    hosts.gateway.succeed("systemctl start bawn-indexer.service")
    hosts.gateway.succeed("bawn search 'keys hashed' --index /var/lib/bawn-index/served")
    hosts.gateway.wait_until_succeeds(f"test $({ready}) = 200", timeout=30)


def test_after_a_power_cut_everything_comes_back_by_itself(unstarted: WiredHosts) -> None:
    hosts = unstarted
    with hosts.chatting(streams=4, tokens=64):
        # In the middle of answers, and of an index run.
        hosts.gateway.succeed("rm -r /var/lib/bawn-index/work; systemctl start --no-block bawn-indexer.service")
        hosts.gateway.wait_until_succeeds("test -e /var/lib/bawn-index/work/code", timeout=30)
        for host in ("gpu", "gateway", "laptop"):
            hosts.machines[host].crash()

    hosts.start("gateway", "laptop", "gpu")
    hosts.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
    hosts.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    assert hosts.chat(streams=2)["lost"] == [], "the key and the bridge's token are still good"
    hosts.gateway.succeed("systemctl start bawn-indexer.service")
    hosts.gateway.succeed("bawn search 'keys hashed' --index /var/lib/bawn-index/served")
    for host in ("gpu", "gateway", "laptop"):
        ours = hosts.machines[host].succeed("systemctl list-units --failed --no-legend --plain 'bawn-*'")
        assert [line for line in ours.splitlines() if "generation" not in line and "health-gate" not in line] == []
