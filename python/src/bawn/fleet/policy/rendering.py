"""The policy of a fleet's tailnet, for Headscale and for Tailscale."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.fleet.policy.assertions import HOSTS, assertions
from bawn.fleet.policy.language import Grant, Policy
from bawn.fleet.policy.principals import Access, accesses, principals
from bawn.fleet.problems import key_of
from bawn.fleet.schema import GATEWAY_PORT, SSH_PORT, Fleet

Product = Literal["headscale", "tailscale"]

_GROUPS: Final = {GATEWAY_PORT: "group:assistant", SSH_PORT: "group:operators"}
"""Those who may use a port, by the port."""


def render_policy(fleet: Fleet, product: Product) -> Policy:
    """The policy that allows what the fleet's allow rules say. The fleet must pass its checks.

    The products read the same policy; they differ in what a login may be.

    Raises:
        SettingsError: a login can't be one of the product.
    """
    if product == "tailscale":
        _check_logins(fleet)
    rules = accesses(fleet)
    groups: dict[str, list[str]] = {}
    grants = [grant for port in sorted({rule.port for rule in rules}) for grant in _grants(rules, port, groups)]
    tags = [name for name in principals(fleet) if name.startswith("tag:")]
    return Policy(
        groups=groups, tag_owners={tag: [] for tag in tags}, hosts=HOSTS, grants=grants, tests=assertions(fleet)
    )


def encoded(policy: Policy) -> bytes:
    """The policy as a file, byte-identical for equal policies; keys that are empty are left out, but for `grants`."""
    keys = ("groups", "tagOwners", "hosts", "grants", "tests")
    data = msgspec.to_builtins(policy)
    for test in data["tests"]:
        for key in ("accept", "deny"):
            if not test[key]:
                del test[key]
    kept = {key: data[key] for key in keys if data[key] or key == "grants"}
    return msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n"


def _grants(rules: Iterable[Access], port: int, groups: dict[str, list[str]]) -> list[Grant]:
    """Grants of one port; sources with the same destinations share one. The groups that they name go into `groups`."""
    reach: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for rule in rules:
        if rule.port == port:
            reach[rule.protocol, rule.source].add(rule.target)
    alike: defaultdict[tuple[str, bool, tuple[str, ...]], list[str]] = defaultdict(list)
    for (protocol, source), targets in sorted(reach.items()):
        alike[protocol, source.startswith("tag:"), tuple(sorted(targets))].append(source)
    grants: list[Grant] = []
    for (protocol, tagged, targets), sources in sorted(alike.items()):
        if not tagged:
            name = _GROUPS.get(port, f"group:port-{port}")
            name = name if name not in groups else f"{name}-{len(groups)}"
            groups[name] = sources
            sources = [name]
        grants.append(Grant(src=sources, dst=list(targets), ip=[f"{protocol}:{port}"]))
    return grants


def _check_logins(fleet: Fleet) -> None:
    for key, person in sorted(fleet.people.items()):
        if person.login.endswith("@"):
            raise SettingsError(
                f"{key_of('people', key)}.login: {person.login} is a login of Headscale only; Tailscale's are "
                "name@domain."
            )
