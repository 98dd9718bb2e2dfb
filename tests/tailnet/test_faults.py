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


def test_servers_that_get_other_tailnet_addresses_listen_there(hosts: TailnetHosts) -> None:
    ports = {"gateway": 8700, "gpu": 8000}
    before = {host: hosts.address(host) for host in ports}
    for host in ports:
        hosts.set_up_anew(host)
    for host, port in ports.items():
        after = hosts.address(host)
        assert after != before[host]
        listening = f"ss --no-header --listening --tcp --numeric 'sport = :{port}' | grep --fixed-strings"
        hosts.machines[host].wait_until_succeeds(f"{listening} '{after}:{port}'", timeout=120)
    works(hosts)
