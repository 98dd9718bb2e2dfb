"""Headscale is away, and nobody notices: the chain over the tailnet, who is calling, and who reaches whom.

A key is good on its owner's machines alone.
"""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bawn.fleet.reachability import Allow
from support.hosts.doors import MEMBERS, PROTOCOLS, Target
from support.hosts.tailnet import NODES, TailnetHosts

pytestmark = pytest.mark.timeout(300, func_only=True)


class Away:
    """A time without Headscale, during which one long answer is under way and short ones are asked for."""

    def __init__(self, hosts: TailnetHosts) -> None:
        self._headscale = hosts.headscale
        self._works = lambda: hosts.chat(tokens=4)
        self._asking = contextlib.ExitStack()
        self._long = self._asking.enter_context(hosts.streaming(tokens=1500, within_s=240))
        self._told = self._asking.enter_context(hosts.chatting(streams=1, tokens=8))
        self._headscale.succeed("systemctl stop headscale.service")
        self.since = time.monotonic()

    def end(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let Headscale come back after a minute at least; how the long answer went, and the others."""
        if not self._told:
            while time.monotonic() < self.since + 60:
                assert self._works()["lost"] == []
            self._headscale.succeed("systemctl start headscale.service")
            self._headscale.wait_for_open_port(443, timeout=60)
            self._asking.close()
        return self._long, self._told


@pytest.fixture(scope="module", autouse=True)
def away(hosts: TailnetHosts) -> Iterator[Away]:
    """From before the first of these tests until after the last."""
    away = Away(hosts)
    yield away
    away.end()


def records(hosts: TailnetHosts) -> list[dict[str, Any]]:
    lines = hosts.gateway.journal("bawn-gateway.service").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and '"event":"request"' in line]


def test_an_answer_comes_in_pieces_as_the_model_makes_them(hosts: TailnetHosts) -> None:
    with hosts.streaming(tokens=200, within_s=200) as told:
        pass
    assert (told["whole"], told["tokens"]) == (True, 200)
    # Were it held back anywhere on the way, its pieces would come together at its end.
    assert len(told["came"]) > 50
    assert told["came"][-1] - told["came"][0] > (told["ended"] - told["began"]) / 2


def test_a_question_is_answered_with_the_places_in_the_indexed_code(hosts: TailnetHosts) -> None:
    # The search goes by MCP through bridge and gateway; the model's words are not waited for.
    asking = "(runuser -l ada -c \"bawn ask 'where are API keys hashed'\" || true)"
    shown = f"{asking} | (head --lines=8; pkill --uid ada --full 'bawn ask' || true)"
    assert "bawn/gateway/auth/" in hosts.laptop.wait_until_succeeds(shown, timeout=60)


def test_the_record_names_the_person_and_the_node(hosts: TailnetHosts) -> None:
    assert hosts.chat()["lost"] == []
    last = [record for record in records(hosts) if record["surface"] == "chat"][-1]
    assert (last["user"], last["node"], last["status"]) == ("ada", "ada-laptop", 200)


def test_a_key_of_somebody_else_is_refused_on_this_laptop(hosts: TailnetHosts) -> None:
    key = hosts.gateway.succeed("bawn-keys add bob").split()[0]
    assert hosts.models_asked("bob", key)[0] == 200
    status, body = hosts.models_asked("ada", key)
    assert (status, body["error"]["code"]) == (403, "identity_mismatch")
    assert hosts.models_asked("ada", None)[0] == 401


class TestWhoReachesWhom:
    """Every rule of the fleet, and every pair and port that has none; on Headscale's ports the listener listens."""

    def test_every_rule_of_the_fleet_and_nothing_else_connects_on_the_tailnet(
        self, hosts: TailnetHosts, rules: list[Allow], ports: list[int]
    ) -> None:
        ruled = {(rule.source, rule.target, rule.port, rule.protocol) for rule in rules if rule.network == "tailnet"}
        targets: dict[tuple[str, str], list[Target]] = {}
        expected: dict[tuple[str, str], list[Target]] = {}
        for source, protocol in itertools.product(MEMBERS, PROTOCOLS):
            others = [(name, hosts.address(name, version)) for name in MEMBERS if name != source for version in (4, 6)]
            doors = [(name, address, port) for name, address in others for port in ports]
            targets[source, protocol] = [(address, port) for _, address, port in doors]
            expected[source, protocol] = [
                (address, port)
                for name, address, port in doors
                if (NODES[source], NODES[name], port, protocol) in ruled
            ]
        assert hosts.all_accepted(targets) == expected

    def test_the_network_below_the_tailnet_is_closed_but_for_headscale(
        self, hosts: TailnetHosts, rules: list[Allow], ports: list[int]
    ) -> None:
        public = {(rule.port, rule.protocol) for rule in rules if rule.network == "public"}
        public.add((22, "tcp"))  # by which the one host outside the tailnet is administered
        targets: dict[tuple[str, str], list[Target]] = {}
        expected: dict[tuple[str, str], list[Target]] = {}
        for source, protocol in itertools.product(hosts.machines, PROTOCOLS):
            others = [(name, hosts.underlay(name, version)) for name in hosts.machines for version in (4, 6)]
            doors = [(name, address, port) for name, address in others if name != source for port in ports]
            targets[source, protocol] = [(address, port) for _, address, port in doors]
            expected[source, protocol] = [
                (address, port) for name, address, port in doors if name == "headscale" and (port, protocol) in public
            ]
        assert hosts.all_accepted(targets) == expected


def test_streams_and_new_requests_have_gone_on_for_more_than_a_minute(hosts: TailnetHosts, away: Away) -> None:
    long, told = away.end()
    assert (long["whole"], long["tokens"]) == (True, 1500)
    assert long["began"] < away.since < long["ended"]
    assert any(came > away.since for came in long["came"])
    assert told["asked"] > 1
    assert told["lost"] == []
