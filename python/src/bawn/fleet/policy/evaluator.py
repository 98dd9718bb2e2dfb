"""Who reaches whom under a policy: a reading of the policy language of our own, from its public specification.

Grants only ever add: a connection is allowed when one of them names its source, its destination, and its protocol and
port. The order of grants doesn't count, and there is no way to take something away again.
"""

from collections.abc import Iterator

import msgspec

from bawn.fleet.policy.language import Policy, Span, destination, span


class Identity(msgspec.Struct, frozen=True):
    """A node as a policy sees it: the login of its user, or tags and no user, or an address that nobody has."""

    login: str | None = None
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str) -> "Identity":
        """The identity of a node that has just this login or tag; of any other name, of nobody's."""
        if name.startswith("tag:"):
            return cls(tags=frozenset({name}))
        return cls(login=name if "@" in name else None)


class Evaluator:
    """Answers about one policy, which `parse_policy` has accepted."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._grants = [(grant.src, grant.dst, frozenset(map(span, grant.ip))) for grant in policy.grants]
        self._known: dict[tuple[Identity, Identity], frozenset[Span]] = {}

    def granted(self, source: Identity, target: Identity) -> frozenset[Span]:
        """The ports of `target` that `source` reaches; they may overlap."""
        pair = source, target
        if pair not in self._known:
            spans = (ports for src, dst, ports in self._grants if self._any(src, source) and self._any(dst, target))
            self._known[pair] = frozenset[Span]().union(*spans)
        return self._known[pair]

    def allows(self, source: Identity, target: Identity, protocol: str, port: int) -> bool:
        """Whether `source` may open a connection to this port of `target`; port 0 where the protocol has none."""
        return any(ports.covers(protocol, port) for ports in self.granted(source, target))

    def spans(self) -> frozenset[Span]:
        """Every range of ports that any grant names."""
        return frozenset[Span]().union(*(ports for _, _, ports in self._grants))

    def failing_tests(self) -> Iterator[str]:
        """The policy's own tests that don't hold, each as a sentence."""
        for test in self._policy.tests:
            for wanted, texts in ((True, test.accept), (False, test.deny)):
                for text in texts:
                    name, port = destination(text)
                    got = self.allows(Identity.of(test.src), Identity.of(name), test.proto, port)
                    if got != wanted:
                        verdict = "allowed" if got else "denied"
                        yield f"tests: {test.src} to {text} ({test.proto}) is {verdict}, and must not be."

    def _any(self, aliases: list[str], node: Identity) -> bool:
        return any(self._names(alias, node) for alias in aliases)

    def _names(self, alias: str, node: Identity) -> bool:
        if alias == "*":
            return True
        if alias.startswith("tag:"):
            return alias in node.tags
        if alias == "autogroup:tagged":
            return bool(node.tags)
        if node.tags or node.login is None:
            return False
        if alias.startswith("group:"):
            return node.login in self._policy.groups[alias]
        return alias in ("autogroup:member", node.login)
