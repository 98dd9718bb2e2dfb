"""Who may reach whom: the allow rules, computed once from the fleet. What is not here is denied."""

from typing import Literal

import msgspec

from bawn.fleet.schema import (
    GATEWAY_PORT,
    HEADSCALE_PORT,
    MODEL_SERVER_PORT,
    SERVING_ROLES,
    SSH_PORT,
    STUN_PORT,
    Fleet,
)


class Allow(msgspec.Struct, frozen=True, order=True):
    """One node may open connections to one port of another."""

    source: str
    target: str
    port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    network: Literal["tailnet", "public"] = "tailnet"
    """`public`: outside the tailnet, which the rule is needed to join; no policy of the tailnet speaks of it."""


def allowed(fleet: Fleet) -> list[Allow]:
    """All allow rules of a fleet that passes its checks, sorted.

    A laptop is allowed every gateway, though its bridge uses one: a tailnet's policy knows a laptop by its owner, who
    may have others.
    """
    laptops = fleet.of_role("laptop")
    gateways, serving = fleet.of_role("gateway"), fleet.of_role(*SERVING_ROLES)
    rules = [Allow(laptop, gateway, GATEWAY_PORT) for laptop in laptops for gateway in gateways]
    rules += [Allow(gateway, node, MODEL_SERVER_PORT) for gateway in gateways for node in serving]
    operators = [name for name, node in laptops.items() if node.owner is not None and fleet.people[node.owner].ssh]
    rules += [Allow(laptop, server, SSH_PORT) for laptop in operators for server in fleet.of_role("gateway", "gpu")]
    for server in fleet.of_role("headscale"):
        for node in fleet.nodes.keys() - {server}:
            rules.append(Allow(node, server, HEADSCALE_PORT, network="public"))
            rules.append(Allow(node, server, STUN_PORT, protocol="udp", network="public"))
    return sorted(rules)
