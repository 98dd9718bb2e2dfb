"""Which of Headscale's users and nodes are the fleet's: by logins and tags, as in its policy, never by names alone."""

from typing import Final

import msgspec

from bawn.fleet.joining.headscale import Node, PreAuthKey, User
from bawn.fleet.policy.principals import TAILNET_ROLES, principal
from bawn.fleet.schema import Fleet

NOBODY: Final = "nobody in the fleet"


def users_of(login: str, users: list[User]) -> list[User]:
    """Those whom a policy of Headscale's means by `login`; of more than one it means none.

    Source: Headscale 0.29, hscontrol/policy/v2/types.go, `Username.resolveUser`.
    """
    token = login.removesuffix("@")
    by_provider = [user for user in users if user.provider_id == token]
    return by_provider[:1] or [user for user in users if token in (user.email, user.name)]


def principal_of(node: Node | PreAuthKey, fleet: Fleet, users: list[User]) -> str:
    """The tag or the login that the policy knows a node by, or one that joins with a key; `NOBODY` for a stranger's."""
    tags = node.tags if isinstance(node, Node) else node.acl_tags
    if tags:
        return ", ".join(sorted(tags))
    for person in fleet.people.values():
        if node.user is not None and any(user.id == node.user.id for user in users_of(person.login, users)):
            return person.login
    return NOBODY


class Matches(msgspec.Struct, frozen=True):
    """The fleet's nodes and Headscale's, side by side. The three parts hold every node of Headscale's once."""

    joined: dict[str, Node]
    """Nodes of the fleet, by name, that are there."""
    replaced: dict[str, list[Node]]
    """Nodes that were one of the fleet's, by its name, until a later one joined as it."""
    others: list[Node]
    """Nodes that are none of the fleet's."""


def match(fleet: Fleet, users: list[User], nodes: list[Node]) -> Matches:
    """Find the fleet's nodes.

    A node is the fleet's where tag or login are right, and the name that it has or came with. Headscale adds a number
    to the name of one that comes back without its state while its old self is still listed, so the last to join counts.
    """
    wanted = fleet.of_role(*TAILNET_ROLES)
    found: dict[str, list[Node]] = {}
    others: list[Node] = []
    for node in sorted(nodes, key=lambda node: node.id):
        of = principal_of(node, fleet, users)
        name = next((n for n in (node.given_name, node.name) if n in wanted and principal(fleet, n) == of), None)
        if name is None:
            others.append(node)
        else:
            found.setdefault(name, []).append(node)
    joined = {name: same[-1] for name, same in found.items()}
    return Matches(joined, {name: same[:-1] for name, same in found.items() if same[:-1]}, others)
