"""What a policy calls the nodes of a fleet: servers by their role's tag, laptops by their owner's login."""

import msgspec

from bawn.fleet.reachability import allowed
from bawn.fleet.schema import Fleet

TAILNET_ROLES = ("gateway", "gpu", "pod", "laptop")
"""Roles of the nodes that join the tailnet; Headscale itself is reached from outside of it."""


class Access(msgspec.Struct, frozen=True, order=True):
    """Nodes of one principal may open connections to one port of another's."""

    source: str
    target: str
    protocol: str
    port: int


def principal(fleet: Fleet, node: str) -> str:
    """The login of a laptop's owner, else the tag of the node's role.

    Headscale drops the user of a tagged node, and so does Tailscale: no node is known by both.
    """
    entry = fleet.nodes[node]
    if entry.role == "laptop" and entry.owner is not None:
        return fleet.people[entry.owner].login
    return f"tag:{entry.role}"


def principals(fleet: Fleet) -> list[str]:
    """Every principal of the fleet: logins, then tags."""
    found = {principal(fleet, node) for node in fleet.of_role(*TAILNET_ROLES)}
    return sorted(found, key=lambda name: (name.startswith("tag:"), name))


def accesses(fleet: Fleet) -> list[Access]:
    """The fleet's allow rules inside the tailnet, by principal, sorted."""
    return sorted(
        {
            Access(principal(fleet, rule.source), principal(fleet, rule.target), rule.protocol, rule.port)
            for rule in allowed(fleet)
            if rule.network == "tailnet"
        }
    )
