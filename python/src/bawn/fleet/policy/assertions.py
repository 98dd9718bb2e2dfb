"""The `tests` of a policy: every allow and every deny of the fleet, for the product itself to check.

A test names logins and tags, and Headscale fails one whose source or destination has no node at the moment
(hscontrol/policy/v2/test.go, `runPolicyTest` and `evalReachability`). No form of a login, tag or group avoids that, so
Headscale's host leaves out, each time, the tests of those who are not there (`bawn-headscale-policy`).
"""

from typing import Final

from bawn.fleet.policy.language import PolicyTest
from bawn.fleet.policy.principals import accesses, principals
from bawn.fleet.schema import GATEWAY_PORT, MODEL_SERVER_PORT, SSH_PORT, Fleet

HOSTS: Final = {"stranger": "100.100.100.100"}
"""Stands for whoever is not in the fleet: an address in the tailnet's range that products give to no node."""

_SERVER_PORTS: Final = {
    "tcp": (1, SSH_PORT, 80, 443, MODEL_SERVER_PORT, GATEWAY_PORT, 65535),
    "udp": (MODEL_SERVER_PORT, GATEWAY_PORT),
}
"""A test names one port: a range would hold as soon as one port in it is closed."""
_LAPTOP_PORTS: Final = {"tcp": (SSH_PORT, GATEWAY_PORT), "udp": (GATEWAY_PORT,)}


def assertions(fleet: Fleet) -> list[PolicyTest]:
    """One test a source and protocol. Sources are single logins and tags.

    Of a source with several nodes Headscale calls denied what one of them may not, so a group would prove nothing.
    """
    rules = {(rule.source, rule.target, rule.protocol, rule.port) for rule in accesses(fleet)}
    everybody = [*principals(fleet), *HOSTS]
    tests: list[PolicyTest] = []
    for source in everybody:
        for protocol in ("tcp", "udp"):
            accept: list[str] = []
            deny: list[str] = []
            for target in everybody:
                if source == target and target in HOSTS:
                    continue
                own = {port for s, t, p, port in rules if (s, t, p) == (source, target, protocol)}
                usual = (_SERVER_PORTS if target.startswith("tag:") else _LAPTOP_PORTS)[protocol]
                for port in sorted(own.union(usual)):
                    (accept if port in own else deny).append(f"{target}:{port}")
            tests.append(PolicyTest(src=source, proto=protocol, accept=accept, deny=deny))
    return tests
