"""What goes on when a part of the tailnet is away, and what comes back without anybody's help."""

import time

import pytest

from support.hosts.network import UNDERLAY
from support.hosts.tailnet import TailnetHosts

pytestmark = pytest.mark.timeout(600, func_only=True)


def works(hosts: TailnetHosts) -> None:
    assert hosts.chat(tokens=4)["lost"] == []


def test_with_headscale_away_for_a_minute_streams_and_new_requests_go_on(hosts: TailnetHosts) -> None:
    with hosts.streaming(tokens=1500, within_s=240) as long, hosts.chatting(streams=1, tokens=8) as told:
        hosts.headscale.succeed("systemctl stop headscale.service")
        stopped = time.monotonic()
        while time.monotonic() < stopped + 60:
            works(hosts)
        hosts.headscale.succeed("systemctl start headscale.service")
        hosts.headscale.wait_for_open_port(443, timeout=60)
    assert (long["whole"], long["tokens"]) == (True, 1500)
    assert long["began"] < stopped < long["ended"]
    assert any(came > stopped for came in long["came"])
    assert told["asked"] > 1
    assert told["lost"] == []


def test_after_the_gateways_tailscaled_was_restarted_the_next_request_works(hosts: TailnetHosts) -> None:
    hosts.gateway.succeed("systemctl restart tailscaled.service")
    works(hosts)


def test_after_the_gateway_host_was_rebooted_the_next_request_works(hosts: TailnetHosts) -> None:
    hosts.gateway.reboot()
    works(hosts)


def test_after_the_laptop_moved_to_another_network_address_the_next_request_works(hosts: TailnetHosts) -> None:
    works(hosts)
    hosts.networks.move(hosts.PERSON, UNDERLAY, 77)
    works(hosts)


@pytest.mark.parametrize(("host", "port"), [("gateway", 8700), ("gpu", 8000)])
def test_a_server_that_gets_another_tailnet_address_listens_there(hosts: TailnetHosts, host: str, port: int) -> None:
    before = hosts.address(host)
    hosts.set_up_anew(host)
    after = hosts.address(host)
    assert after != before
    listening = f"ss --no-header --listening --tcp --numeric 'sport = :{port}' | grep --fixed-strings '{after}:{port}'"
    hosts.machines[host].wait_until_succeeds(listening, timeout=120)
    works(hosts)
