"""Whether a policy grants what the fleet means, and nothing else: every ordered pair of nodes, at every port."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec

from bawn.fleet.policy.evaluator import Evaluator, Identity
from bawn.fleet.policy.language import Policy
from bawn.fleet.policy.principals import TAILNET_ROLES, principal
from bawn.fleet.reachability import allowed
from bawn.fleet.schema import GATEWAY_PORT, MODEL_SERVER_PORT, SSH_PORT, Fleet

PORTS: Final = (1, SSH_PORT, 80, 443, MODEL_SERVER_PORT, GATEWAY_PORT, 41641, 65535)
"""Always asked. Beside them each port that the fleet or the policy names, and its neighbours: between two of those no
verdict changes, so that all 65535 are judged."""
STRANGERS: Final = {
    "an untagged node of nobody in the fleet": Identity(login="stranger@invalid"),
    "a node with a tag of no role": Identity(tags=frozenset({"tag:stranger"})),
    "an address of no node": Identity(),
}


class Disagreement(msgspec.Struct, frozen=True, order=True):
    """A pair of nodes for which policy and fleet differ."""

    source: str
    target: str
    protocol: str
    ports: tuple[int, ...]
    """Those of the ports asked; (0,) for a protocol without ports."""
    granted: bool
    """What the policy says; the fleet means the opposite."""

    def __str__(self) -> str:
        ports = f" port {', '.join(map(str, self.ports))}" if self.ports != (0,) else ""
        reach = f"{self.source} to {self.target}, {self.protocol}{ports}"
        if self.granted:
            return f"grants too much: {reach}: allowed by the policy, denied by the fleet."
        return f"grants too little: {reach}: denied by the policy, allowed by the fleet."


def problems_of_policy(fleet: Fleet, policy: Policy) -> list[str]:
    """What is wrong with the policy, in sentences; empty when it is the fleet's. The fleet must pass its checks."""
    evaluator = Evaluator(policy)
    return [*map(str, disagreements(fleet, policy)), *sorted(evaluator.failing_tests())]


def disagreements(fleet: Fleet, policy: Policy) -> list[Disagreement]:
    """Every pair for which the policy's verdicts are not the fleet's: its nodes, and strangers of several kinds."""
    evaluator = Evaluator(policy)
    nodes = {name: Identity.of(principal(fleet, name)) for name in fleet.of_role(*TAILNET_ROLES)}
    means: defaultdict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
    for rule in allowed(fleet):
        if rule.network == "tailnet":
            means[rule.source, rule.target].add((rule.protocol, rule.port))
    ports = _ports(fleet, evaluator)
    everybody = nodes | STRANGERS | _strangers_of(policy, set(nodes.values()))
    found: list[Disagreement] = []
    for source, source_identity in everybody.items():
        for target, target_identity in everybody.items():
            meant = means.get((source, target), set())
            if source != target and (meant or evaluator.granted(source_identity, target_identity)):
                found += _of_pair(evaluator, (source, source_identity), (target, target_identity), meant, ports)
    return sorted(found)


def _of_pair(
    evaluator: Evaluator,
    source: tuple[str, Identity],
    target: tuple[str, Identity],
    meant: set[tuple[str, int]],
    ports: dict[str, list[int]],
) -> Iterator[Disagreement]:
    for protocol, asked in ports.items():
        wrong: dict[bool, list[int]] = {True: [], False: []}
        for port in asked:
            verdict = evaluator.allows(source[1], target[1], protocol, port)
            if verdict != ((protocol, port) in meant):
                wrong[verdict].append(port)
        for granted, of_these in wrong.items():
            if of_these:
                yield Disagreement(source[0], target[0], protocol, tuple(of_these), granted)


def _ports(fleet: Fleet, evaluator: Evaluator) -> dict[str, list[int]]:
    """Ports to ask, by protocol."""
    edges = {rule.port for rule in allowed(fleet)} | {end for s in evaluator.spans() for end in (s.first, s.last)}
    near = {port + step for port in edges for step in (-1, 0, 1)}
    asked = sorted(port for port in near.union(PORTS) if 0 < port < 65536)
    others = {"icmp"} | {s.protocol for s in evaluator.spans()} - {"*", "tcp", "udp"}
    return {"tcp": asked, "udp": asked, **{protocol: [0] for protocol in sorted(others)}}


def _strangers_of(policy: Policy, known: set[Identity]) -> dict[str, Identity]:
    """Logins and tags that the policy names and the fleet doesn't."""
    named = {name for members in policy.groups.values() for name in members} | set(policy.tag_owners)
    named |= {alias for grant in policy.grants for alias in (*grant.src, *grant.dst) if "@" in alias}
    return {
        f"{name}, which is nobody in the fleet": Identity.of(name)
        for name in sorted(named)
        if Identity.of(name) not in known
    }
