"""Verdicts of the evaluator, each from a sentence of the specification."""

import pytest

from bawn.fleet.policy.evaluator import Evaluator, Identity
from bawn.fleet.policy.language import Grant, Policy, PolicyTest

ADA = Identity.of("ada@example.org")
GRACE = Identity.of("grace@example.org")
GPU = Identity.of("tag:gpu")
NOBODY = Identity()


def of(src: str, dst: str, ip: str) -> Evaluator:
    groups = {"group:a": ["ada@example.org"]}
    return Evaluator(Policy(groups=groups, tag_owners={"tag:gpu": []}, grants=[Grant(src=[src], dst=[dst], ip=[ip])]))


@pytest.mark.parametrize(
    ("alias", "named"),
    [
        ("*", {ADA, GRACE, GPU, NOBODY}),
        ("ada@example.org", {ADA}),
        ("group:a", {ADA}),
        ("tag:gpu", {GPU}),
        ("autogroup:member", {ADA, GRACE}),
        ("autogroup:tagged", {GPU}),
    ],
)
def test_an_alias_names_these_nodes_as_source_and_as_destination(alias: str, named: set[Identity]) -> None:
    everybody = {ADA, GRACE, GPU, NOBODY}
    assert {node for node in everybody if of(alias, "*", "*").allows(node, GPU, "tcp", 1)} == named
    assert {node for node in everybody if of("*", alias, "*").allows(GPU, node, "tcp", 1)} == named


def test_a_tagged_node_is_its_users_no_more() -> None:
    tagged = Identity(login="ada@example.org", tags=frozenset({"tag:gpu"}))
    assert not of("ada@example.org", "*", "*").allows(tagged, GRACE, "tcp", 1)
    assert not of("group:a", "*", "*").allows(tagged, GRACE, "tcp", 1)


def test_ports_and_protocols_bound_a_grant() -> None:
    evaluator = of("ada@example.org", "tag:gpu", "tcp:22-23")
    assert [port for port in (21, 22, 23, 24) if evaluator.allows(ADA, GPU, "tcp", port)] == [22, 23]
    assert not evaluator.allows(ADA, GPU, "udp", 22)
    assert not evaluator.allows(ADA, GPU, "icmp", 0)
    assert not evaluator.allows(GPU, ADA, "tcp", 22)


def test_a_port_without_protocol_is_of_all_of_them() -> None:
    evaluator = of("ada@example.org", "tag:gpu", "443")
    assert all(evaluator.allows(ADA, GPU, protocol, port) for protocol, port in (("tcp", 443), ("udp", 443)))
    assert evaluator.allows(ADA, GPU, "icmp", 0)
    assert not evaluator.allows(ADA, GPU, "udp", 444)


def test_grants_add_up_and_none_is_nothing() -> None:
    grants = [
        Grant(src=["*"], dst=["tag:gpu"], ip=["tcp:1"]),
        Grant(src=["ada@example.org"], dst=["tag:gpu"], ip=["tcp:2", "udp:3"]),
    ]
    both = Evaluator(Policy(tag_owners={"tag:gpu": []}, grants=grants))
    asked = [("tcp", 1), ("tcp", 2), ("udp", 3), ("tcp", 3)]
    assert [both.allows(ADA, GPU, *at) for at in asked] == [True, True, True, False]
    assert [both.allows(GRACE, GPU, *at) for at in asked] == [True, False, False, False]
    assert not Evaluator(Policy(grants=[])).allows(ADA, GPU, "tcp", 1)


def test_the_policys_own_tests_are_judged() -> None:
    tests = [
        PolicyTest(src="ada@example.org", accept=["tag:gpu:22", "tag:gpu:23"], deny=["tag:gpu:24"]),
        PolicyTest(src="stranger", deny=["tag:gpu:22"]),
    ]
    grants = [Grant(src=["*"], dst=["tag:gpu"], ip=["tcp:22", "tcp:24"])]
    policy = Policy(tag_owners={"tag:gpu": []}, hosts={"stranger": "100.100.100.100"}, grants=grants, tests=tests)
    assert list(Evaluator(policy).failing_tests()) == [
        "tests: ada@example.org to tag:gpu:23 (tcp) is denied, and must not be.",
        "tests: ada@example.org to tag:gpu:24 (tcp) is allowed, and must not be.",
        "tests: stranger to tag:gpu:22 (tcp) is allowed, and must not be.",
    ]
