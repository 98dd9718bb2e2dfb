"""Who reaches what: laptop to gateway, gateway to model servers, everybody to Headscale, and nothing else."""

from pathlib import Path

import pytest

from bawn.fleet.reachability import Allow, allowed
from bawn.fleet.reading import read_fleet
from bawn.fleet.schema import Fleet

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(params=sorted(path.stem for path in EXAMPLES.glob("*.toml")))
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return read_fleet(EXAMPLES / f"{request.param}.toml")


def test_of_one_gateway_and_one_gpu_every_rule_is_known() -> None:
    def public(source: str) -> list[Allow]:
        return [
            Allow(source, "headscale", 443, network="public"),
            Allow(source, "headscale", 3478, protocol="udp", network="public"),
        ]

    assert allowed(read_fleet(EXAMPLES / "own-gpu.toml")) == [
        Allow("ada-laptop", "gateway", 22),
        Allow("ada-laptop", "gateway", 8700),
        Allow("ada-laptop", "gpu", 22),
        *public("ada-laptop"),
        Allow("gateway", "gpu", 8000),
        *public("gateway"),
        *public("gpu"),
        Allow("grace-laptop", "gateway", 8700),
        *public("grace-laptop"),
    ]


def test_no_laptop_reaches_a_model_server(fleet: Fleet) -> None:
    roles = {
        (fleet.nodes[rule.source].role, fleet.nodes[rule.target].role) for rule in allowed(fleet) if rule.port == 8000
    }
    assert roles <= {("gateway", "gpu"), ("gateway", "pod")}


def test_servers_start_no_connection_but_to_what_they_need(fleet: Fleet) -> None:
    for rule in allowed(fleet):
        if fleet.nodes[rule.source].role in ("gpu", "pod"):
            assert fleet.nodes[rule.target].role == "headscale"
        assert fleet.nodes[rule.source].role != "headscale"


def test_nobody_reaches_a_laptop(fleet: Fleet) -> None:
    assert not [rule for rule in allowed(fleet) if fleet.nodes[rule.target].role == "laptop"]


def test_only_the_laptops_of_operators_reach_port_22(fleet: Fleet) -> None:
    operators = {
        name
        for name, node in fleet.of_role("laptop").items()
        if node.owner is not None and fleet.people[node.owner].ssh
    }
    assert {rule.source for rule in allowed(fleet) if rule.port == 22} == operators
    assert {rule.target for rule in allowed(fleet) if rule.port == 22} <= set(fleet.of_role("gateway", "gpu"))


def test_in_a_managed_tailnet_everything_stays_inside() -> None:
    assert {rule.network for rule in allowed(read_fleet(EXAMPLES / "pods.toml"))} == {"tailnet"}
