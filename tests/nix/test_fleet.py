"""The fleet in Nix and the fleet in Python are one structure."""

import json
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
        for entry in data[table].values():
            assert entry.keys() == set(kind.__struct_fields__)
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


def test_headscales_policy_is_built_from_the_fleet_and_judged_whoever_wrote_it(tmp_path: Path) -> None:
    """Run as the derivations would be, on policies that say what the fleet means and on some that don't."""
    host = "flake.nixosConfigurations.headscale.config"
    source = f'{host}.environment.etc."headscale/policy.json".source'
    commands: list[str] = evaluate(f"map (built: built.buildCommand) [ {host}.bawn.headscale.policyFile {source} ]")
    words = re.fullmatch(r"\s*(\S+/bin/bawn) fleet policy (\S+) --for headscale > \$out\s*", commands[0])
    assert words is not None, commands
    program, fleet = words.groups()
    by_hand: str = evaluate(f"{host}.bawn.headscale.policyFile.outPath")
    given, written, built = (tmp_path / name for name in ("fleet.json", "policy.json", "judged.json"))
    places = {program: f"{sys.executable} -m bawn.cli", fleet: str(given), by_hand: str(written)}
    for place, here in places.items():
        commands = [command.replace(place, here) for command in commands]
    render, judge = (command.replace("$out", str(out)) for command, out in zip(commands, (written, built), strict=True))

    data: dict[str, Any] = evaluate(f"lib.filterAttrsRecursive (_: value: value != null) {FLEET}")
    given.write_bytes(msgspec.json.encode(data))
    assert _built(render) == (0, "")
    assert _built(judge)[0] == 0
    assert built.read_bytes() == written.read_bytes()
    assert problems_of_policy(to_fleet(data, origin="f"), parse_policy(built.read_bytes(), origin="p")) == []

    # A policy by hand, with a door too many: nothing is built, and it is said which.
    built.unlink()
    policy = json.loads(written.read_bytes())
    policy["grants"].append({"src": ["tag:gpu"], "dst": ["tag:gateway"], "ip": ["tcp:8700"]})
    written.write_text(json.dumps(policy), encoding="utf-8")
    status, said = _built(judge)
    assert (status != 0, built.exists()) == (True, False)
    assert "gpu" in said
    assert "8700" in said

    # A login that no policy can name: none is rendered.
    data["people"]["ada"]["login"] = "a:da@example.org"
    given.write_bytes(msgspec.json.encode(data))
    status, said = _built(render)
    assert status != 0
    assert "a:da@example.org" in said
    assert written.read_bytes() == b""


def _built(command: str) -> tuple[int, str]:
    """Exit status of a derivation's command, as stdenv runs it, and what it says of failures."""
    done = subprocess.run(["bash", "-e", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_the_headscale_host_has_the_fleet_where_its_operators_commands_look() -> None:
    host = "flake.nixosConfigurations.headscale.config"
    name = str(INSTALLED.relative_to("/etc"))
    assert evaluate(f'{host}.environment.etc."{name}".source == {host}.bawn.fleetFile')
    assert evaluate(f"lib.elem {host}.bawn.package.bridge {host}.environment.systemPackages")
