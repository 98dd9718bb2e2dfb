"""What goes on when a part of the tailnet is away, and what comes back without anybody's help."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.hosts.network import UNDERLAY
from support.hosts.tailnet import TailnetHosts

pytestmark = pytest.mark.timeout(600, func_only=True)


def works(hosts: TailnetHosts) -> None:
    assert hosts.chat(tokens=4)["lost"] == []


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
    with ThreadPoolExecutor() as pool:
        hosts.gateway.succeed("systemctl stop tailscaled.service")
        # Asked for while nobody listens anywhere; the laptop's connection leads to the address that is gone.
        asked = pool.submit(works, hosts)
        for host in ports:
            hosts.set_up_anew(host)
        for host, port in ports.items():
            after = hosts.address(host)
            assert after != before[host]
            listening = f"ss --no-header --listening --tcp --numeric 'sport = :{port}' | grep --fixed-strings"
            hosts.machines[host].wait_until_succeeds(f"{listening} '{after}:{port}'", timeout=120)
        asked.result()
    works(hosts)


def test_without_an_answer_of_tailscaled_nobody_is_let_in(hosts: TailnetHosts) -> None:
    key = hosts.laptop.succeed("cat /home/ada/.config/bawn/gateway.key").strip()
    assert hosts.models_asked("ada", key)[0] == 200
    # The tunnel stays up, and what answers questions does not.
    hosts.gateway.succeed("mv /run/tailscale/tailscaled.sock /run/tailscale/away")
    try:
        hosts.laptop.wait_until_succeeds(f"{hosts.ask_for_models(key)} | grep identity", timeout=20)
        status, body = hosts.models_asked("ada", key)
    finally:
        hosts.gateway.succeed("mv /run/tailscale/away /run/tailscale/tailscaled.sock")
    assert (status, body["error"]["code"]) == (503, "identity_unknown")
    hosts.laptop.wait_until_succeeds(f"{hosts.ask_for_models(key)} --fail", timeout=20)
