"""What a policy may say here; whatever else it says is refused by its place, and not passed over."""

from typing import Any

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.fleet.policy.language import Span, parse_policy, span

GOOD: dict[str, Any] = {
    "groups": {"group:a": ["ada@example.org"]},
    "tagOwners": {"tag:gateway": []},
    "hosts": {"stranger": "100.100.100.100"},
    "grants": [{"src": ["group:a"], "dst": ["tag:gateway"], "ip": ["tcp:8700"]}],
    "tests": [{"src": "stranger", "proto": "tcp", "deny": ["tag:gateway:8700"]}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", Span("*", 0, 65535)),
        ("443", Span("*", 443, 443)),
        ("1-1024", Span("*", 1, 1024)),
        ("tcp:443", Span("tcp", 443, 443)),
        ("udp:1-65535", Span("udp", 1, 65535)),
        ("icmp:*", Span("icmp", 0, 65535)),
        ("47:*", Span("47", 0, 65535)),
    ],
)
def test_ports_are_read_as_the_specification_has_them(text: str, expected: Span) -> None:
    assert span(text) == expected


@pytest.mark.parametrize("text", ["", "tcp:", ":443", "tcp:0", "tcp:65536", "tcp:9-1", "tcp:1-", "tcp:1,2", "a:b:1"])
def test_other_ports_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (range of ports|port)"):
        span(text)


def test_a_good_policy_is_read() -> None:
    assert parse_policy(msgspec.json.encode(GOOD), origin="p").grants[0].ip == ["tcp:8700"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acls": []}, "p: top level: unknown field `acls`"),
        ({"ssh": []}, "unknown field `ssh`"),
        ({"autoApprovers": {}}, "unknown field `autoApprovers`"),
        ({"nodeAttrs": []}, "unknown field `nodeAttrs`"),
        ({"tagOwners": {"tag:gateway": ["group:a"]}}, "tagOwners.tag:gateway: has owners"),
        ({"groups": {"a": []}, "grants": []}, "a is no name of a group"),
        ({"groups": {"group:a": ["group:b"]}}, "group:b is no login"),
        ({"hosts": {"stranger": "100.64.0.0/10"}}, "is no single IP address"),
        ({"grants": [{"src": ["group:z"], "dst": [], "ip": []}]}, r"grants\[0\]: group:z is not in groups"),
        ({"grants": [{"src": ["tag:z"], "dst": [], "ip": []}]}, "tag:z is not in tagOwners"),
        ({"grants": [{"src": ["100.64.0.1"], "dst": [], "ip": []}]}, "100.64.0.1 is not known here"),
        ({"grants": [{"src": ["stranger"], "dst": [], "ip": []}]}, "stranger is not known here"),
        ({"grants": [{"src": ["*"], "dst": ["autogroup:self"], "ip": ["*"]}]}, "autogroup:self is not known here"),
        ({"grants": [{"src": ["*"], "dst": ["*"], "ip": ["tcp:x"]}]}, r"grants\[0\].ip: tcp:x is not known here"),
        ({"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"], "via": []}]}, "unknown field `via`"),
        ({"grants": [{"src": ["*"], "dst": ["*"], "app": {}, "ip": []}]}, "unknown field `app`"),
        ({"tests": [{"src": "group:a", "deny": ["tag:gateway:1"]}]}, "group:a is several kinds of nodes"),
        ({"tests": [{"src": "stranger", "deny": ["tag:gateway:1-2"]}]}, "is no destination with one port"),
    ],
)
def test_what_is_not_known_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_policy(msgspec.json.encode(GOOD | change), origin="p")


def test_a_policy_without_grants_would_allow_everything_and_is_refused() -> None:
    without = {key: value for key, value in GOOD.items() if key != "grants"}
    with pytest.raises(SettingsError, match="missing required field `grants`"):
        parse_policy(msgspec.json.encode(without), origin="p")


def test_comments_are_not_read_and_the_message_says_so() -> None:
    with pytest.raises(SettingsError, match="p: is no JSON without comments"):
        parse_policy(b"// who\n{}", origin="p")
