"""The VM tests evaluate: machines, drivers and scripts. They run where KVM is, by `nix flake check`."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from support.nix import ROOT, evaluate

pytestmark = pytest.mark.timeout(600)

SCENARIOS = ROOT / "tests" / "scenarios"
NAMES = sorted(
    path.stem for path in (ROOT / "tests" / "vm").glob("*.nix") if "testScript" in path.read_text(encoding="utf-8")
)
DRIVER = {
    *("crash", "execute", "fail", "reboot", "shutdown", "start", "succeed", "wait_for_open_port", "wait_for_unit"),
    *("wait_until_fails", "wait_until_succeeds"),
}
"""The part of the NixOS test driver's interface that scenarios may use: other machines have it too."""


def test_every_vm_test_is_a_check_of_the_flake() -> None:
    checks = evaluate("lib.attrNames flake.checks.x86_64-linux")
    assert {name.removeprefix("vm-") for name in checks if name.startswith("vm-")} == set(NAMES)
    assert set(NAMES) == {"bridge", "gateway", "health-gate", "model-server", "tailnet", "upgrade"}


@pytest.fixture(scope="module", params=NAMES)
def vm_test(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """A VM test's name, and what evaluation gives of it."""
    of = f"flake.checks.x86_64-linux.vm-{request.param}"
    shown = "{ driver = test.driver.drvPath; script = test.config.testScriptString; nodes = lib.attrNames test.nodes; }"
    return request.param, evaluate(f"let test = {of}; in {shown}")


def test_a_vm_test_evaluates_to_a_driver_and_a_script_that_compiles(vm_test: tuple[str, dict[str, Any]]) -> None:
    name, test = vm_test
    assert test["driver"].endswith(f"-nixos-test-driver-bawn-{name}.drv")
    ast.parse(test["script"])


def test_a_script_gives_its_scenario_the_machines_that_there_are(vm_test: tuple[str, dict[str, Any]]) -> None:
    _, test = vm_test
    tree = ast.parse(test["script"])
    (run,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    (call,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "run"
    ]
    given = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
    assert given == [name for name in given if name in test["nodes"]]
    assert set(given) == set(test["nodes"])
    known = [argument.arg for argument in run.args.args]
    required = known[: len(known) - len(run.args.defaults)]
    by_name = [keyword.arg for keyword in call.keywords]
    assert required == [*known[: len(call.args)], *by_name][: len(required)]


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.py")), ids=lambda path: path.stem)
def test_a_scenario_stands_alone_and_asks_of_machines_what_each_kind_can_do(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "run" in functions
    assert all(ast.get_docstring(function) for function in functions.values())
    machines = {"machine", "headscale", "gateway", "gpu", "laptop", "ada", "bob"}
    asked = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in machines
    }
    assert asked <= DRIVER, f"{path.name}: {sorted(asked - DRIVER)}"
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bsleep\b", text)
    # Under the machines' pipefail such a grep, which ends at the first match, can make the writer's end a failure.
    assert not re.search(r"\|\s*grep (-q|--quiet)", text)


def test_every_scenario_has_a_vm_test() -> None:
    assert {path.stem.replace("_", "-") for path in SCENARIOS.glob("*.py")} == set(NAMES)


def test_the_interface_is_what_the_nixos_driver_has() -> None:
    nixpkgs = Path(evaluate("toString flake.inputs.nixpkgs"))
    source = (nixpkgs / "nixos/lib/test-driver/src/test_driver/machine/__init__.py").read_text(encoding="utf-8")
    methods = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert methods >= DRIVER


def test_a_machine_is_its_example_host_and_what_differs_is_the_test_s() -> None:
    machines = "flake.checks.x86_64-linux.vm-tailnet.nodes"
    exposed = evaluate(
        f"lib.mapAttrs (_: m: {{ inherit (m.bawn) node role; firewall = m.networking.firewall.interfaces.tailscale0"
        f".allowedTCPPorts; memory = m.virtualisation.memorySize; }}) {machines}"
    )
    assert {name: (machine["node"], machine["role"]) for name, machine in exposed.items()} == {
        "headscale": ("headscale", "headscale"),
        "gateway": ("gateway", "gateway"),
        "gpu": ("gpu", "gpu"),
        "ada": ("ada-laptop", "laptop"),
        "bob": ("bob-laptop", "laptop"),
    }
    assert sorted(exposed["gateway"]["firewall"]) == [22, 8700]
    assert sorted(exposed["gpu"]["firewall"]) == [22, 8000]
    assert exposed["gateway"]["memory"] == 2048
