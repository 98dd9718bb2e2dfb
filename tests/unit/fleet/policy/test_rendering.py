"""The policy of a fleet, byte for byte as committed; Headscale and Tailscale read the same.

The golden files are made by `bawn fleet policy examples/EXAMPLE.toml --out golden/EXAMPLE/policy.json`.
"""

from pathlib import Path

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.fleet.policy.comparison import problems_of_policy
from bawn.fleet.policy.language import Policy, parse_policy
from bawn.fleet.policy.rendering import encoded, render_policy
from bawn.fleet.reading import read_fleet, to_fleet
from bawn.fleet.schema import Fleet
from bawn.service.settings import read_data

HERE = Path(__file__).parents[1]
EXAMPLES = sorted((HERE / "examples").glob("*.toml"))
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def contractors() -> Policy:
    return render_policy(read_fleet(HERE / "examples" / "contractors.toml"), "headscale")


def denied(policy: Policy, source: str, protocol: str = "tcp") -> set[str]:
    return {text for test in policy.tests if (test.src, test.proto) == (source, protocol) for text in test.deny}


def accepted(policy: Policy, source: str) -> set[str]:
    return {text for test in policy.tests if test.src == source for text in test.accept}


@each_example
def test_the_policy_is_as_committed_and_grants_what_the_fleet_means(path: Path) -> None:
    fleet = read_fleet(path)
    text = encoded(render_policy(fleet, "headscale"))
    assert text == (HERE / "golden" / path.stem / "policy.json").read_bytes()
    assert problems_of_policy(fleet, parse_policy(text, origin="p")) == []


@each_example
def test_for_tailscale_it_is_the_same_byte_for_byte(path: Path) -> None:
    fleet = read_fleet(path)
    assert encoded(render_policy(fleet, "tailscale")) == encoded(render_policy(fleet, "headscale"))


def test_a_login_without_a_domain_is_headscales_only() -> None:
    data = read_data(HERE / "examples" / "own-gpu.toml")
    assert isinstance(data, dict)
    data["people"]["ada"]["login"] = "ada@"
    fleet = to_fleet(data, origin="f")
    assert render_policy(fleet, "headscale").groups["group:operators"] == ["ada@"]
    with pytest.raises(SettingsError, match=r"people\.ada\.login: ada@ is a login of Headscale only"):
        render_policy(fleet, "tailscale")


@each_example
def test_it_has_grants_and_no_older_or_wider_language(path: Path) -> None:
    data = msgspec.json.decode(encoded(render_policy(read_fleet(path), "headscale")))
    # No acls, no ssh, no autoApprovers, no nodeAttrs.
    assert set(data) == {"groups", "tagOwners", "hosts", "grants", "tests"}
    assert all(owners == [] for owners in data["tagOwners"].values())
    assert all(set(grant) == {"src", "dst", "ip"} for grant in data["grants"])


def test_equal_fleets_render_the_same_bytes_in_whatever_order_they_are_written() -> None:
    data = read_data(HERE / "examples" / "contractors.toml")
    assert isinstance(data, dict)
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in data.items()}
    assert encoded(render_policy(to_fleet(turned, origin="f"), "headscale")) == encoded(contractors())


def test_its_tests_accept_every_allow() -> None:
    policy = contractors()
    assert accepted(policy, "kim@works.example") == {"tag:gateway:22", "tag:gateway:8700", "tag:gpu:22"}
    assert accepted(policy, "a@agency.example") == {"tag:gateway:8700"}
    assert accepted(policy, "tag:gateway") == {"tag:gpu:8000"}
    assert accepted(policy, "tag:gpu") == set()
    assert accepted(policy, "stranger") == set()


def test_its_tests_deny_every_other_way() -> None:
    policy = contractors()
    laptop_to_gpu = {f"tag:gpu:{port}" for port in (1, 22, 80, 443, 8000, 8700, 65535)}
    assert laptop_to_gpu <= denied(policy, "a@agency.example")
    assert {"b@agency.example:22", "kim@works.example:22", "a@agency.example:22"} <= denied(policy, "a@agency.example")
    assert {"tag:gateway:22", "tag:gateway:443", "tag:gateway:8000"} <= denied(policy, "a@agency.example")
    assert {"tag:gateway:8700", "tag:gateway:22", "tag:gpu:8000", "kim@works.example:22"} <= denied(policy, "tag:gpu")
    assert {"a@agency.example:22", "tag:gpu:22", "tag:gateway:8700"} <= denied(policy, "tag:gateway")
    assert {"tag:gateway:8700", "tag:gpu:8000", "kim@works.example:8700"} <= denied(policy, "stranger")
    assert {"tag:gateway:8700", "tag:gpu:8000"} <= denied(policy, "kim@works.example", "udp")


def test_a_test_names_one_kind_of_node_and_one_port() -> None:
    for test in contractors().tests:
        assert not test.src.startswith("group:")
        for text in (*test.accept, *test.deny):
            name, _, port = text.rpartition(":")
            assert port.isdigit()
            assert not name.startswith("group:")


def test_only_owners_of_laptops_are_in_it() -> None:
    fleet = read_fleet(HERE / "examples" / "own-gpu.toml")
    less = msgspec.structs.replace(fleet, nodes={k: n for k, n in fleet.nodes.items() if k != "grace-laptop"})
    assert isinstance(less, Fleet)
    assert b"grace" not in encoded(render_policy(less, "headscale"))
