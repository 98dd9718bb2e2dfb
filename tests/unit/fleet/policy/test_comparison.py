"""A policy that grants more or less than the fleet means is found, whatever was done to it."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bawn.fleet.policy.comparison import disagreements, problems_of_policy
from bawn.fleet.policy.evaluator import Evaluator, Identity
from bawn.fleet.policy.language import Grant, Policy
from bawn.fleet.policy.principals import TAILNET_ROLES, principal
from bawn.fleet.policy.rendering import render_policy
from bawn.fleet.reachability import allowed
from bawn.fleet.reading import read_fleet, to_fleet
from support.fleets import Data, fleets

FLEET = read_fleet(Path(__file__).parents[1] / "examples" / "own-gpu.toml")
POLICY = render_policy(FLEET, "headscale")


def mutant(*grants: Grant, **changes: object) -> Policy:
    """The example's policy with further grants, or with other parts; without its own tests, which would tell too."""
    return msgspec.structs.replace(POLICY, **{"grants": [*POLICY.grants, *grants], "tests": [], **changes})


def changed(at: int, **fields: list[str]) -> Policy:
    grants = [msgspec.structs.replace(g, **fields) if n == at else g for n, g in enumerate(POLICY.grants)]
    return mutant(grants=grants)


@settings(max_examples=60, deadline=None)
@given(fleets(), st.integers(1, 65535))
def test_for_any_fleet_the_evaluator_agrees_with_its_intent_for_every_pair_and_port(data: Data, any_port: int) -> None:
    # Beside `problems_of_policy`, which is under test itself, each question is asked here one by one.
    fleet = to_fleet(data, origin="f")
    policy = render_policy(fleet, "headscale")
    assert problems_of_policy(fleet, policy) == []
    evaluator = Evaluator(policy)
    meant = {(r.source, r.target, r.protocol, r.port) for r in allowed(fleet) if r.network == "tailnet"}
    nodes = {name: Identity.of(principal(fleet, name)) for name in fleet.of_role(*TAILNET_ROLES)}
    for source in nodes:
        for target in nodes.keys() - {source}:
            for protocol in ("tcp", "udp"):
                for port in (1, 21, 22, 23, 80, 443, 7999, 8000, 8001, 8080, 8699, 8700, 8701, 41641, 65535, any_port):
                    verdict = evaluator.allows(nodes[source], nodes[target], protocol, port)
                    assert verdict == ((source, target, protocol, port) in meant), (source, target, protocol, port)


@settings(max_examples=60, deadline=None)
@given(fleets(), st.data())
def test_for_any_fleet_a_dropped_or_widened_grant_is_found(data: Data, draw: st.DataObject) -> None:
    fleet = to_fleet(data, origin="f")
    policy = render_policy(fleet, "headscale")
    at = draw.draw(st.integers(0, len(policy.grants) - 1))
    grant = policy.grants[at]
    [ports] = grant.ip
    protocol, _, port = ports.partition(":")
    low, high = draw.draw(st.integers(1, int(port))), draw.draw(st.integers(int(port), 65535))
    wider = [
        None,
        msgspec.structs.replace(grant, ip=["*"]),
        msgspec.structs.replace(grant, ip=[port]),
        msgspec.structs.replace(grant, dst=["*"]),
        msgspec.structs.replace(grant, dst=[*grant.dst, "autogroup:member"]),
        msgspec.structs.replace(grant, src=["*"]),
        msgspec.structs.replace(grant, src=[*grant.src, "autogroup:member"]),
        msgspec.structs.replace(grant, src=grant.dst, dst=grant.src),
        *([msgspec.structs.replace(grant, ip=[f"{protocol}:{low}-{high}"])] if low < high else []),
    ]
    new = draw.draw(st.sampled_from(wider))
    grants = [*policy.grants[:at], *([new] if new else []), *policy.grants[at + 1 :]]
    assert disagreements(fleet, msgspec.structs.replace(policy, grants=grants))
    assert problems_of_policy(fleet, msgspec.structs.replace(policy, grants=grants, tests=[]))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            mutant(Grant(src=["group:assistant"], dst=["tag:gpu"], ip=["tcp:8000"])),
            "grants too much: ada-laptop to gpu, tcp port 8000: allowed by the policy, denied by the fleet.",
        ),
        (
            mutant(Grant(src=["tag:gpu"], dst=["tag:gateway"], ip=["udp:41641"])),
            "grants too much: gpu to gateway, udp port 41641: allowed by the policy, denied by the fleet.",
        ),
        (
            mutant(Grant(src=["tag:gateway"], dst=["tag:gpu"], ip=["icmp:*"])),
            "grants too much: gateway to gpu, icmp: allowed by the policy, denied by the fleet.",
        ),
        (
            mutant(grants=POLICY.grants[1:]),
            "grants too little: ada-laptop to gateway, tcp port 22: denied by the policy, allowed by the fleet.",
        ),
        (
            mutant(Grant(src=["eve@example.org"], dst=["tag:gateway"], ip=["tcp:8700"])),
            "grants too much: eve@example.org, which is nobody in the fleet to gateway, tcp port 8700: allowed by the "
            "policy, denied by the fleet.",
        ),
        (
            mutant(
                Grant(src=["tag:ci"], dst=["tag:gateway"], ip=["tcp:8700"]),
                tag_owners={**POLICY.tag_owners, "tag:ci": []},
            ),
            "grants too much: tag:ci, which is nobody in the fleet to gateway, tcp port 8700: allowed by the policy, "
            "denied by the fleet.",
        ),
        (
            mutant(groups={**POLICY.groups, "group:operators": ["ada@example.org", "grace@example.org"]}),
            "grants too much: grace-laptop to gpu, tcp port 22: allowed by the policy, denied by the fleet.",
        ),
        (
            mutant(Grant(src=["*"], dst=["tag:gateway"], ip=["tcp:8700"])),
            "grants too much: an untagged node of nobody in the fleet to gateway, tcp port 8700: allowed by the "
            "policy, denied by the fleet.",
        ),
    ],
)
def test_each_change_is_named_with_its_pair_and_port(policy: Policy, said: str) -> None:
    assert said in problems_of_policy(FLEET, policy)


@pytest.mark.parametrize("at", range(len(POLICY.grants)))
def test_no_grant_can_be_dropped_or_doubled_in_ports_unseen(at: int) -> None:
    assert problems_of_policy(FLEET, mutant(grants=[g for n, g in enumerate(POLICY.grants) if n != at]))
    assert problems_of_policy(FLEET, changed(at, ip=[*POLICY.grants[at].ip, "tcp:30000-30001"]))


def test_a_failing_test_of_its_own_is_a_problem_too() -> None:
    [first, *_] = POLICY.tests
    tests = [msgspec.structs.replace(first, accept=first.deny, deny=[])]
    assert any(
        problem.startswith("tests: ada@example.org to")
        for problem in problems_of_policy(FLEET, msgspec.structs.replace(POLICY, tests=tests))
    )
