"""Whatever valid fleet is built, it passes; whatever is broken in it, the problem's key names the place."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bawn.fleet.checks import problems
from bawn.fleet.policy.comparison import problems_of_policy
from bawn.fleet.policy.language import parse_policy
from bawn.fleet.policy.rendering import encoded, render_policy
from bawn.fleet.problems import BrokenFleet
from bawn.fleet.reachability import allowed
from bawn.fleet.reading import to_fleet
from bawn.fleet.rendering import Places, render
from support.fleets import Data, fleets


def keys_of_problems(data: Data) -> list[str]:
    try:
        return [problem.key for problem in problems(to_fleet(data, origin="f"))]
    except BrokenFleet as error:
        return [problem.key for problem in error.problems]


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_a_fleet_that_is_built_to_work_passes_and_every_node_of_it_is_rendered(data: Data) -> None:
    assert keys_of_problems(data) == []
    fleet = to_fleet(data, origin="f")
    for node in fleet.nodes:
        assert bool(render(fleet, node, Places())) == (fleet.nodes[node].role != "headscale")
    for rule in allowed(fleet):
        assert (rule.port == 8000) == (fleet.nodes[rule.target].role in ("gpu", "pod") and rule.port != 22)


def first(data: Data, *roles: str) -> str:
    return min(name for name, node in data["nodes"].items() if node["role"] in roles)


def laptop(change: Data, field: str) -> Callable[[Data], str]:
    def mutate(data: Data) -> str:
        name = first(data, "laptop")
        data["nodes"][name] |= change
        return f"nodes.{name}.{field}"

    return mutate


def node(change: Data, field: str, *roles: str) -> Callable[[Data], str]:
    def mutate(data: Data) -> str:
        name = first(data, *roles)
        data["nodes"][name] |= change
        return f"nodes.{name}.{field}"

    return mutate


def entry(table: str, change: Data, field: str | None = None) -> Callable[[Data], str]:
    def mutate(data: Data) -> str:
        data[table]["zz-new"] = change
        return f"{table}.zz-new" + (f".{field}" if field else "")

    return mutate


def person(change: Data, field: str) -> Callable[[Data], str]:
    def mutate(data: Data) -> str:
        name = min(data["people"])
        data["people"][name] |= change
        return f"people.{name}.{field}"

    return mutate


def tailnet(change: Data, field: str) -> Callable[[Data], str]:
    def mutate(data: Data) -> str:
        data["tailnet"] |= change
        return f"tailnet.{field}"

    return mutate


def without(*roles: str) -> Callable[[Data], str]:
    def mutate(data: Data) -> str:
        data["nodes"] = {name: node for name, node in data["nodes"].items() if node["role"] not in roles}
        return "nodes"

    return mutate


def headscale_lost_or_gained(data: Data) -> str:
    if data["tailnet"]["managed"]:
        data["nodes"]["zz-new"] = {"role": "headscale"}
        return "tailnet.managed"
    return without("headscale")(data)


def same_name_in_capitals(data: Data) -> str:
    name = first(data, "laptop")
    data["nodes"][name.upper()] = data["nodes"][name]
    return f"nodes.{name}"


def login_of_another(data: Data) -> str:
    name = min(data["people"])
    data["people"]["zz-new"] = {"login": data["people"][name]["login"].upper()}
    return f"people.{name}.login"


def card_too_small(data: Data) -> str:
    name = first(data, "gpu", "pod")
    of = data["models"][data["nodes"][name]["models"][0]]
    data["nodes"][name]["vram_mib"] = of["size_mib"] + of["kv_mib"] + 1023
    return f"nodes.{name}.vram_mib"


def server_in_the_domain(data: Data) -> str:
    data["tailnet"]["base_domain"] = "example"
    if data["tailnet"]["managed"]:
        # Tailscale's own names are no matter of the fleet: another mistake in their place.
        data["tailnet"]["base_domain"] = "Example..org"
    return "tailnet.base_domain"


def nobody_left(data: Data) -> str:
    data["people"] = {}
    return "people"


GOOD_MODEL: Data = {"file": "m.gguf", "size_mib": 1}
MUTATIONS: dict[str, Callable[[Data], str]] = {
    "a laptop without owner": laptop({"owner": None}, "owner"),
    "a laptop of a stranger": laptop({"owner": "zz-stranger"}, "owner"),
    "a laptop with a model": laptop({"models": ["m"]}, "models"),
    "a laptop of no gateway": laptop({"gateway": "zz-none"}, "gateway"),
    "an unknown role": laptop({"role": "desktop"}, "role"),
    "an unknown key": laptop({"onwer": "x"}, "onwer"),
    "a value of another type": laptop({"owner": 3}, "owner"),
    "a server with an owner": node({"owner": "x"}, "owner", "gateway"),
    "a gateway with a model": node({"models": ["m"]}, "models", "gateway"),
    "a gateway without memory": node({"memory_mib": 512}, "memory_mib", "gateway"),
    "a gpu of an unknown model": node({"models": ["zz none"]}, "models", "gpu", "pod"),
    "a gpu of nothing": node({"models": []}, "models", "gpu", "pod"),
    "a gateway with state on disk": node({"state_on_disk": "plain"}, "state_on_disk", "gateway"),
    "state on disk in a way that is none": node({"state_on_disk": "zz"}, "state_on_disk", "gpu", "pod"),
    "a card that is too small": card_too_small,
    "no gateway": without("gateway"),
    "no model server": without("gpu", "pod"),
    "no Headscale, or one too many": headscale_lost_or_gained,
    "one name twice": same_name_in_capitals,
    "a name that is no label": entry("nodes", {"role": "router"}, "role"),
    "a login twice": login_of_another,
    "a login that is none": person({"login": "x"}, "login"),
    "a person with an unknown model": person({"models": ["zz none"]}, "models"),
    "a person with an unknown index": person({"indexes": ["zz"]}, "indexes"),
    "nobody": nobody_left,
    "a model that nobody serves": entry("models", GOOD_MODEL),
    "a model of no size": entry("models", {"file": "m.gguf", "size_mib": 0}, "size_mib"),
    "a model without size": entry("models", {"file": "m.gguf"}, "size_mib"),
    "a model of another format": entry("models", {**GOOD_MODEL, "file": "m.safetensors"}, "file"),
    "weights that nobody checks": entry("models", {**GOOD_MODEL, "url": "https://w.example/m.gguf"}),
    "an alias of nothing": lambda data: data["aliases"].update({"zz-new": "zz none"}) or "aliases.zz-new",
    "a repository without place": entry("repositories", {}),
    "a repository with two places": entry("repositories", {"path": "/a", "url": "https://g.example/a"}),
    "a repository in an unknown index": entry("repositories", {"path": "/a", "index": "zz"}, "index"),
    "a repository with some of its libraries": entry("repositories", {"path": "/a", "libraries": "some"}, "libraries"),
    "a budget of a stranger": lambda data: data.update(budgets={"zz-new": {}}) or "budgets.zz-new",
    "a server without TLS": tailnet({"server_url": "http://join.example"}, "server_url"),
    "a domain that is none": tailnet({"base_domain": "-"}, "base_domain"),
    "a domain that holds the server": server_in_the_domain,
}


@pytest.mark.parametrize("name", MUTATIONS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=fleets())
def test_whatever_is_broken_the_key_names_the_place(name: str, data: Data) -> None:
    broken = copy.deepcopy(data)
    key = MUTATIONS[name](broken)
    assert key in keys_of_problems(broken)


def test_an_alias_that_hides_a_model_is_named() -> None:
    # Beside the mutations: its key is the model's name, which may need quotes.
    data: Data = {
        "name": "e",
        "tailnet": {"base_domain": "t.example"},
        "models": {"m": GOOD_MODEL},
        "aliases": {"m": "m"},
    }
    assert "aliases.m" in keys_of_problems(data)


@settings(max_examples=60, deadline=None)
@given(fleets(), st.text(st.sampled_from("ab@:*. "), max_size=6))
def test_a_fleet_that_passes_its_checks_has_a_policy(data: Data, login: str) -> None:
    data["people"][min(data["people"])]["login"] = login
    if keys_of_problems(data) == []:
        fleet = to_fleet(data, origin="f")
        policy = encoded(render_policy(fleet, "tailscale" if fleet.tailnet.managed else "headscale"))
        assert problems_of_policy(fleet, parse_policy(policy, origin="p")) == []
