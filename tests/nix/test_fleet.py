"""The fleet in Nix and the fleet in Python are one structure."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from bawn.cli.fleet_file import INSTALLED
from bawn.fleet.checks import problems
from bawn.fleet.policy.comparison import problems_of_policy
from bawn.fleet.policy.language import parse_policy
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


def test_headscales_policy_is_built_by_the_command_that_judges_it(tmp_path: Path) -> None:
    """Run as the derivation would be, on a fleet whose policy is good, and on one that no policy can be written for."""
    host = "flake.nixosConfigurations.headscale.config"
    command: str = evaluate(f"{host}.bawn.headscale.policyFile.buildCommand")
    assert evaluate(f'{host}.environment.etc."headscale/policy.json".source == {host}.bawn.headscale.policyFile')
    words = re.fullmatch(r"\s*(\S+/bin/bawn) fleet policy (\S+) --for headscale > (\$out)\s*", command)
    assert words is not None, command
    program, fleet, out = words.groups()
    data: dict[str, Any] = evaluate(f"lib.filterAttrsRecursive (_: value: value != null) {FLEET}")
    given = tmp_path / "fleet.json"
    policy = tmp_path / "policy.json"
    run = command.replace(program, f"{sys.executable} -m bawn.cli").replace(fleet, str(given)).replace(out, str(policy))
    given.write_bytes(msgspec.json.encode(data))
    assert subprocess.run(["bash", "-c", run], timeout=60, check=False).returncode == 0
    fleet_of_it = to_fleet(data, origin="f")
    assert problems_of_policy(fleet_of_it, parse_policy(policy.read_bytes(), origin="p")) == []
    # A login that no policy can name: nothing is built.
    data["people"]["ada"]["login"] = "a:da@example.org"
    given.write_bytes(msgspec.json.encode(data))
    refused = subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert "a:da@example.org" in refused.stderr
    assert policy.read_bytes() == b""


def test_the_headscale_host_has_the_fleet_where_its_operators_commands_look() -> None:
    host = "flake.nixosConfigurations.headscale.config"
    name = str(INSTALLED.relative_to("/etc"))
    assert evaluate(f'{host}.environment.etc."{name}".source == {host}.bawn.fleetFile')
    assert evaluate(f"lib.elem {host}.bawn.package.bridge {host}.environment.systemPackages")
