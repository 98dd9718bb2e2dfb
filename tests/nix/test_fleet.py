"""The fleet in Nix and the fleet in Python are one structure."""

from typing import Any

import msgspec

from bawn.fleet.checks import problems
from bawn.fleet.reading import to_fleet
from bawn.fleet.rendering import Places, render
from bawn.fleet.schema import Fleet, Model, Node, Person, Repository, Tailnet
from support.nix import evaluate

FLEET = "flake.nixosConfigurations.gateway.config.bawn.fleet"


def test_the_example_fleet_passes_the_checks_and_each_of_its_nodes_is_rendered() -> None:
    data: dict[str, Any] = evaluate(f"lib.filterAttrsRecursive (_: value: value != null) {FLEET}")
    fleet = to_fleet(data, origin="hosts/fleet.nix")
    assert problems(fleet) == []
    files = {name for node in fleet.nodes for name in render(fleet, node, Places())}
    assert files == {"gateway.json", "model-server.json", "bridge.json"}


def test_nix_and_python_know_the_same_keys_with_the_same_defaults() -> None:
    data: dict[str, Any] = evaluate(FLEET)
    assert data.keys() == set(Fleet.__struct_fields__)
    assert data["tailnet"].keys() == set(Tailnet.__struct_fields__)
    for table, kind in {"people": Person, "nodes": Node, "models": Model, "repositories": Repository}.items():
        # A repository that is somewhere else has no option in Nix, where it could not be indexed.
        known = set(kind.__struct_fields__) - {"url"} if kind is Repository else set(kind.__struct_fields__)
        for entry in data[table].values():
            assert entry.keys() == known
    bare: dict[str, Any] = evaluate(
        "(flake.nixosConfigurations.gateway.extendModules { modules = [ { bawn.fleet = {"
        ' people.zz.login = "zz@example.org"; nodes.zz.role = "pod";'
        ' models.zz = { file = "zz.gguf"; size_mib = 1; }; repositories.zz.path = "/zz"; }; } ]; })'
        ".config.bawn.fleet"
    )
    assert msgspec.convert(bare["people"]["zz"], Person) == Person(login="zz@example.org")
    assert msgspec.convert(bare["nodes"]["zz"], Node) == Node(role="pod")
    assert msgspec.convert(bare["models"]["zz"], Model) == Model(file="zz.gguf", size_mib=1)
    assert msgspec.convert(bare["repositories"]["zz"], Repository) == Repository(path="/zz")
