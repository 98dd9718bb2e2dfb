"""The part of Tailscale's policy language that bawn renders, as types; whatever else a policy says is refused.

Source: https://tailscale.com/kb/1337/policy-syntax and https://tailscale.com/kb/1324/grants.
"""

import ipaddress
import re
from typing import Final, Literal

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.fleet.naming import LOGIN
from bawn.service.settings import Settings, to_settings

AUTOGROUPS: Final = ("autogroup:member", "autogroup:tagged")
_TAG: Final = re.compile(r"tag:[A-Za-z][A-Za-z0-9-]*")
_PROTOCOL: Final = re.compile(r"[a-z0-9-]+")


class Grant(Settings, frozen=True):
    """Every source may reach every destination on every port of `ip`."""

    src: list[str]
    dst: list[str]
    ip: list[str]


class PolicyTest(Settings, frozen=True):
    """What must be so: `accept` and `deny` are `destination:port` as seen from `src`."""

    src: str
    proto: Literal["tcp", "udp"] = "tcp"
    accept: list[str] = []
    deny: list[str] = []


class Policy(Settings, frozen=True, rename={"tag_owners": "tagOwners"}):
    """A policy. Without `grants` it would allow everything, so the key is required.

    Keys that stay out: `acls` (grants say the same), `ssh` (operators use sshd, whose port is granted),
    `autoApprovers` (no node may announce routes), `nodeAttrs`, `postures` and the like.
    """

    grants: list[Grant]
    groups: dict[str, list[str]] = {}
    tag_owners: dict[str, list[str]] = {}
    hosts: dict[str, str] = {}
    tests: list[PolicyTest] = []


class Span(msgspec.Struct, frozen=True, order=True):
    """Ports `first` to `last` of one protocol, or of all where it is `*`."""

    protocol: str
    first: int
    last: int

    def covers(self, protocol: str, port: int) -> bool:
        """Whether the port is one of these; protocols without ports are asked for port 0."""
        return self.protocol in ("*", protocol) and (protocol not in ("tcp", "udp") or self.first <= port <= self.last)


def parse_policy(text: bytes, *, origin: str) -> Policy:
    """Read a policy, as JSON.

    Raises:
        SettingsError: it is not JSON (comments are not read), or says what this evaluator doesn't know; the message
            begins with `origin` and names the place.
    """
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError(f"{origin}: is no JSON without comments: {error}.") from error
    policy = to_settings(data, Policy, origin=origin)
    for problem in _unknown(policy):
        raise SettingsError(f"{origin}: {problem}")
    return policy


def span(text: str) -> Span:
    """One entry of a grant's `ip`: `*`, `443`, `1-1024`, `tcp:443`, `udp:1-1024`, `icmp:*`.

    Raises:
        ValueError: it is none of these.
    """
    protocol, colon, ports = text.rpartition(":")
    if colon and not _PROTOCOL.fullmatch(protocol):
        raise ValueError(f"{text} is no range of ports")
    # Without a protocol TCP, UDP and ICMP are meant; reading it as all of them errs on the side of granting too much.
    protocol = protocol or "*"
    if ports == "*":
        return Span(protocol, 0, 65535)
    first, dash, last = ports.partition("-")
    found = Span(protocol, _port(first), _port(last if dash else first))
    if found.first > found.last:
        raise ValueError(f"{text} is no range of ports")
    return found


def destination(text: str) -> tuple[str, int]:
    """A test's `destination:port`.

    Raises:
        ValueError: it has no single port.
    """
    name, _, port = text.rpartition(":")
    return name, _port(port)


def _port(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:
        raise ValueError(f"{text} is no port")
    return int(text)


def _unknown(policy: Policy) -> list[str]:
    """What no verdict may be built on, each with its place."""
    found: list[str] = []
    for group, members in policy.groups.items():
        if not group.startswith("group:"):
            found.append(f"groups: {group} is no name of a group; it begins with group:.")
        found += [f"groups.{group}: {name} is no login." for name in members if not LOGIN.fullmatch(name)]
    for tag, owners in policy.tag_owners.items():
        if not _TAG.fullmatch(tag):
            found.append(f"tagOwners: {tag} is no tag.")
        if owners:
            # An owner may tag his own nodes, and a laptop that calls itself a gateway reaches the GPU hosts.
            found.append(f"tagOwners.{tag}: has owners, who could give their own nodes this tag; leave it empty.")
    for name, address in policy.hosts.items():
        if not _is_address(address):
            found.append(f"hosts.{name}: {address} is no single IP address.")
    for at, grant in enumerate(policy.grants):
        for alias in (*grant.src, *grant.dst):
            found += [f"grants[{at}]: {reason}" for reason in _alias(policy, alias)]
        for ports in grant.ip:
            try:
                span(ports)
            except ValueError:
                found.append(f"grants[{at}].ip: {ports} is not known here; write e.g. tcp:443.")
    for at, test in enumerate(policy.tests):
        found += [f"tests[{at}]: {reason}" for reason in _test(policy, test)]
    return found


def _test(policy: Policy, test: PolicyTest) -> list[str]:
    names = [test.src]
    found: list[str] = []
    for text in (*test.accept, *test.deny):
        try:
            names.append(destination(text)[0])
        except ValueError:
            found.append(f"{text} is no destination with one port.")
    for name in names:
        if name not in policy.hosts:
            found += _one_kind_of_node(policy, name)
    return found


def _one_kind_of_node(policy: Policy, name: str) -> list[str]:
    if name.startswith(("group:", "autogroup:")) or name == "*":
        # Headscale takes a test from several nodes as denied as soon as one of them is: it would prove next to nothing.
        return [f"{name} is several kinds of nodes; test one login, tag or host at a time."]
    return _alias(policy, name)


def _alias(policy: Policy, alias: str) -> list[str]:
    if alias == "*" or alias in AUTOGROUPS or LOGIN.fullmatch(alias):
        return []
    if alias.startswith("group:"):
        return [] if alias in policy.groups else [f"{alias} is not in groups."]
    if _TAG.fullmatch(alias):
        return [] if alias in policy.tag_owners else [f"{alias} is not in tagOwners."]
    return [f"{alias} is not known here: a login, tag, group, {', '.join(AUTOGROUPS)} or *."]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
