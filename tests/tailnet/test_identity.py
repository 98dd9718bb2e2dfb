"""The chain over the tailnet, and who is calling: a key is good on its owner's machines alone."""

import json
from typing import Any

import pytest

from support.hosts.machine import Machine
from support.hosts.tailnet import TailnetHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

MODELS = "http://gateway.tailnet.example.org:8700/v1/models"


def asked(machine: Machine, key: str | None) -> tuple[int, dict[str, Any]]:
    """Status and body of a request to the gateway."""
    header = f"--header 'Authorization: Bearer {key}'" if key else ""
    ask = f"curl --silent --max-time 20 --output /run/answer --write-out '%{{http_code}}' {header} {MODELS}"
    status, _, body = machine.succeed(f"{ask}; echo; cat /run/answer").partition("\n")
    return int(status), json.loads(body or "{}")


def records(hosts: TailnetHosts) -> list[dict[str, Any]]:
    lines = hosts.gateway.journal("bawn-gateway.service").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and '"event":"request"' in line]


def test_an_answer_comes_in_pieces_as_the_model_makes_them(hosts: TailnetHosts) -> None:
    with hosts.streaming(tokens=200, within_s=60) as told:
        pass
    assert (told["whole"], told["tokens"]) == (True, 200)
    # Were it held back anywhere on the way, its pieces would come together at its end.
    assert len(told["came"]) > 50
    assert told["came"][-1] - told["came"][0] > (told["ended"] - told["began"]) / 2


def test_a_question_is_answered_with_the_places_in_the_indexed_code(hosts: TailnetHosts) -> None:
    # The search goes by MCP through bridge and gateway; the model's words are not waited for.
    asking = "(runuser -l ada -c \"bawn ask 'where are API keys hashed'\" || true) | head --lines=8"
    assert "bawn/gateway/auth/" in hosts.laptop.wait_until_succeeds(asking, timeout=60)


def test_the_record_names_the_person_and_the_node(hosts: TailnetHosts) -> None:
    assert hosts.chat()["lost"] == []
    last = [record for record in records(hosts) if record["surface"] == "chat"][-1]
    assert (last["user"], last["node"], last["status"]) == ("ada", "ada-laptop", 200)


def test_a_key_of_somebody_else_is_refused_on_this_laptop(hosts: TailnetHosts) -> None:
    key = hosts.gateway.succeed("bawn-keys add bob").split()[0]
    assert asked(hosts.machines["bob"], key)[0] == 200
    status, body = asked(hosts.machines["ada"], key)
    assert (status, body["error"]["code"]) == (403, "identity_mismatch")
    assert asked(hosts.machines["ada"], None)[0] == 401


def test_without_an_answer_of_tailscaled_nobody_is_let_in(hosts: TailnetHosts) -> None:
    key = hosts.laptop.succeed("cat /home/ada/.config/bawn/gateway.key").strip()
    assert asked(hosts.laptop, key)[0] == 200
    # The tunnel stays up, and what answers questions does not.
    hosts.gateway.succeed("mv /run/tailscale/tailscaled.sock /run/tailscale/away")
    refused = f"curl --silent --header 'Authorization: Bearer {key}' {MODELS} | grep identity"
    hosts.laptop.wait_until_succeeds(refused, timeout=20)
    status, body = asked(hosts.laptop, key)
    hosts.gateway.succeed("mv /run/tailscale/away /run/tailscale/tailscaled.sock")
    assert (status, body["error"]["code"]) == (503, "identity_unknown")
    hosts.laptop.wait_until_succeeds(f"curl --silent --fail --header 'Authorization: Bearer {key}' {MODELS}", 20)
