"""What brings Headscale in line with the fleet: who is created, renamed and removed, and what only people can mend."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from bawn.fleet.joining.headscale import Headscale, Node, PreAuthKey, User
from bawn.fleet.joining.matching import Matches, match, principal_of, users_of
from bawn.fleet.policy.principals import TAILNET_ROLES, principal, principals
from bawn.fleet.problems import listed
from bawn.fleet.schema import Fleet


class CreateUser(msgspec.Struct, frozen=True):
    """Somebody in the fleet whom Headscale does not know."""

    name: str
    login: str

    def __str__(self) -> str:
        return f"create user {self.name} ({self.login})"

    def take(self, headscale: Headscale) -> None:
        """Do it."""
        # `ada@` stands for a user named ada, who has no e-mail.
        headscale.create_user(self.name, None if self.login.endswith("@") else self.login)


class RemoveUser(msgspec.Struct, frozen=True):
    """Somebody in Headscale who is not, or no longer, in the fleet."""

    id: int
    shown: str

    def __str__(self) -> str:
        return f"remove user {self.shown} and the join keys made for it: not in the fleet"

    def take(self, headscale: Headscale) -> None:
        """Do it."""
        headscale.remove_user(self.id)


class RemoveNode(msgspec.Struct, frozen=True):
    """A node that is not, or no longer, in the fleet; it has to join again to come back."""

    id: int
    shown: str
    reason: str

    def __str__(self) -> str:
        return f"remove node {self.shown}: {self.reason}"

    def take(self, headscale: Headscale) -> None:
        """Do it."""
        headscale.remove_node(self.id)


class RenameNode(msgspec.Struct, frozen=True):
    """A node of the fleet that is there under another name, so that nobody finds it under its own."""

    id: int
    shown: str
    name: str

    def __str__(self) -> str:
        return f"rename node {self.shown} to {self.name}"

    def take(self, headscale: Headscale) -> None:
        """Do it."""
        headscale.rename_node(self.id, self.name)


class ExpireKey(msgspec.Struct, frozen=True):
    """A join key that nobody has used, and that nothing in the fleet has a use for."""

    id: int
    shown: str
    reason: str

    def __str__(self) -> str:
        return f"expire join key {self.shown}: {self.reason}"

    def take(self, headscale: Headscale) -> None:
        """Do it."""
        headscale.expire_key(self.id)


Step = CreateUser | RemoveUser | RemoveNode | RenameNode | ExpireKey


class Plan(msgspec.Struct, frozen=True):
    """What is to be done, in its order, and what is to be told."""

    steps: list[Step]
    problems: list[str]
    """What no step mends; a person has to."""
    notes: list[str]
    """What is as it may be and still worth knowing: nodes that have not joined, keys that may be left over."""


def plan(fleet: Fleet, users: list[User], nodes: list[Node], keys: list[PreAuthKey], now: datetime) -> Plan:
    """Compare. The fleet must pass its checks; a plan of what it leads to has no steps."""
    matches = match(fleet, users, nodes)
    removed, renamed = _nodes(fleet, users, matches)
    strangers = _strangers(fleet, users)
    kept = [user for user in users if user not in strangers]
    # The keys made for a user go with it.
    usable = [key for key in keys if key.usable(now) and key.user not in strangers]
    expired, left_over = _keys(fleet, users, matches, usable, now)
    # Keys go first, so that what is removed can't come back. A user can go when its nodes have gone, and then its name
    # is free, as a node's is.
    steps: list[Step] = [*expired, *removed, *(RemoveUser(u.id, _user(u)) for u in strangers)]
    steps += [*_missing(fleet, kept), *renamed]
    return Plan(steps, list(_problems(fleet, users)), [*_notes(fleet, matches, now), *left_over])


def _missing(fleet: Fleet, kept: list[User]) -> Iterator[CreateUser]:
    taken = {user.name for user in kept} | {p.login.removesuffix("@") for p in fleet.people.values()}
    for key, person in sorted(fleet.people.items()):
        if users_of(person.login, kept):
            continue
        # A user's name is free where the policy goes by e-mail, but for what is another's name or login.
        name = person.login.removesuffix("@") if person.login.endswith("@") or key in taken else key
        taken.add(name)
        yield CreateUser(name, person.login)


def _strangers(fleet: Fleet, users: list[User]) -> list[User]:
    known = {user.id for person in fleet.people.values() for user in users_of(person.login, users)}
    return [user for user in users if user.id not in known]


def _nodes(fleet: Fleet, users: list[User], matches: Matches) -> tuple[list[RemoveNode], list[RenameNode]]:
    removed = [RemoveNode(node.id, _node(node), _why(fleet, users, matches, node)) for node in matches.others]
    for name, before in matches.replaced.items():
        later = _node(matches.joined[name])
        removed += [RemoveNode(node.id, _node(node), f"{later} joined later as {name}") for node in before]
    joined = sorted(matches.joined.items())
    renamed = [RenameNode(node.id, _node(node), name) for name, node in joined if node.given_name != name]
    return sorted(removed, key=lambda step: step.id), renamed


def _keys(
    fleet: Fleet, users: list[User], matches: Matches, usable: list[PreAuthKey], now: datetime
) -> tuple[list[ExpireKey], list[str]]:
    """Of the usable keys those that are to be expired, and a note for each that only people can tell the use of.

    A key says of which tag or user its node will be, and not which node: what is meant for a node that still has to
    join, or for a pod, can't be told from a leftover of the same principal, and stays until it expires by itself.
    """
    wanted = fleet.of_role(*TAILNET_ROLES)
    waiting = {
        principal(fleet, name)
        for name, node in wanted.items()
        if node.role == "pod" or name not in matches.joined or matches.joined[name].expired(now)
    }
    gone = {principal_of(node, fleet, users): _node(node) for node in matches.others}
    expired: list[ExpireKey] = []
    notes: list[str] = []
    for key in sorted(usable, key=lambda key: key.id):
        of = principal_of(key, fleet, users)
        shown = f"id {key.id} of {of}"
        if of not in principals(fleet):
            expired.append(ExpireKey(key.id, shown, "nothing in the fleet joins with it"))
        elif of in waiting:
            continue
        elif of in gone:
            why = f"it may be for {gone[of]}, which is removed, and all others of {of} have joined"
            expired.append(ExpireKey(key.id, shown, why))
        else:
            notes.append(
                f"Join key {shown} is unused, and all nodes of {of} have joined. If no machine is being set up anew, "
                f"run `headscale preauthkeys expire --id {key.id}`."
            )
    return expired, notes


def _why(fleet: Fleet, users: list[User], matches: Matches, node: Node) -> str:
    wanted = fleet.of_role(*TAILNET_ROLES)
    of = principal_of(node, fleet, users)
    if node.given_name in wanted:
        return f"it is of {of}, and the fleet's {node.given_name} is of {principal(fleet, node.given_name)}"
    # One that joined under a wrong name looks like one that was taken out of the fleet: only people know which it is.
    missing = [name for name in wanted if principal(fleet, name) == of and name not in matches.joined]
    if missing:
        return (
            f"not in the fleet. If it is {' or '.join(missing)} and joined under another name, keep it with "
            f"`headscale nodes rename --identifier {node.id} {missing[0]}`"
        )
    return "not in the fleet"


def _problems(fleet: Fleet, users: list[User]) -> Iterator[str]:
    for key, person in sorted(fleet.people.items()):
        same = users_of(person.login, users)
        if len(same) > 1:
            yield (
                f"{key}: Headscale has {len(same)} users for {person.login} ({listed(map(_user, same))}), and its "
                "policy then grants none of them anything: keep one and remove the others with "
                "`headscale users destroy`."
            )


def _notes(fleet: Fleet, matches: Matches, now: datetime) -> Iterator[str]:
    for name, entry in fleet.of_role(*TAILNET_ROLES).items():
        # A pod comes and goes.
        if name not in matches.joined and entry.role != "pod":
            yield f"{name} has not joined: `bawn fleet join-key {name}` makes its key."
        elif name in matches.joined and matches.joined[name].expired(now):
            yield f"{name}'s key has expired: it joins again with `bawn fleet join-key {name}`."


def _node(node: Node) -> str:
    return f"{node.given_name} ({', '.join([f'id {node.id}', *node.ip_addresses[:1]])})"


def _user(user: User) -> str:
    # Names and e-mails may come from an identity provider, and go to a terminal.
    shown = f"{user.name or user.provider_id} (id {user.id}{', ' + user.email if user.email else ''})"
    return shown if shown.isprintable() else ascii(shown)
