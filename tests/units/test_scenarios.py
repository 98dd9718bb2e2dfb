"""The steps of the VM tests, on hosts in systemd-nspawn: what runs here is what runs where KVM is."""

from collections.abc import Callable

import pytest

import scenarios.bridge
import scenarios.gateway
import scenarios.model_server
from support.hosts import third_party
from support.hosts.wired import WiredHosts
from support.left_out import LEFT_OUT

pytestmark = pytest.mark.timeout(600, func_only=True)

GATEWAY = "gateway" if third_party.absent() else "gateway-with-meilisearch"


def test_bridge(unstarted: WiredHosts) -> None:
    hosts = unstarted
    hosts.start("gpu", "gateway", "laptop")
    hosts.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
    scenarios.bridge.run(hosts.gateway, hosts.gpu, hosts.laptop, hosts.PERSON)


def test_gateway(unstarted: WiredHosts, record_property: Callable[[str, object], None]) -> None:
    url = f"http://{unstarted.address('gateway')}:8700"
    absent = third_party.absent()
    if not absent:
        scenarios.gateway.run(unstarted.gateway, url)
        return
    for reason in absent:
        record_property(LEFT_OUT, f"the gateway's scenario goes without the steps about it: {reason}")
    steps, gateway = scenarios.gateway, unstarted.gateway
    steps.make_repository(gateway, files=20)
    steps.index(gateway)
    key = steps.make_key(gateway)
    steps.it_finds_what_is_committed(gateway, url, key)
    steps.strangers_are_refused(gateway, url, key)
    steps.a_push_is_found_without_a_timer(gateway, url, key)


def test_model_server(unstarted: WiredHosts) -> None:
    steps, gpu, token = scenarios.model_server, unstarted.gpu, unstarted.token
    url = f"http://{unstarted.address('gpu')}:8000"
    steps.it_answers(gpu, token, url)
    steps.it_asks_for_the_token(gpu, token, url)
    steps.its_journal_knows_nothing(gpu, token, url)
    steps.frozen_it_is_restarted(gpu, token, url)
