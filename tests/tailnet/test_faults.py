"""What goes on when a part of the tailnet is away, and what comes back without anybody's help."""

import time

import pytest

from support.hosts.network import UNDERLAY
from support.hosts.tailnet import TailnetHosts

pytestmark = pytest.mark.timeout(600, func_only=True)


def works(hosts: TailnetHosts) -> None:
    assert hosts.chat(tokens=4)["lost"] == []


def test_with_headscale_away_for_a_minute_streams_and_new_requests_go_on(hosts: TailnetHosts) -> None:
    hosts.headscale.succeed("systemctl stop headscale.service")
    until = time.monotonic() + 60
    with hosts.chatting(streams=1, tokens=8) as told:
        while time.monotonic() < until:
            works(hosts)
    hosts.headscale.succeed("systemctl start headscale.service")
    hosts.headscale.wait_for_open_port(443, timeout=60)
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


def test_a_gateway_that_gets_another_tailnet_address_listens_there(hosts: TailnetHosts) -> None:
    before = hosts.address("gateway")
    hosts.set_up_anew("gateway")
    after = hosts.address("gateway")
    assert after != before
    listening = f"ss --no-header --listening --tcp --numeric 'sport = :8700' | grep --fixed-strings '{after}:8700'"
    hosts.gateway.wait_until_succeeds(listening, timeout=120)
    works(hosts)
