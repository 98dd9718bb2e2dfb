"""Data flows one way, and no service imports another (docs/architecture.md, "Packages")."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bawn

SOURCE = Path(bawn.__file__).parent
SHARED = {"contracts", "service", "relay", "search"}
SERVICES = {"bridge", "gateway", "model_server", "indexer"}
ALLOWED: dict[str, set[str]] = {
    "contracts": set(),
    "service": {"contracts"},
    "fleet": {"contracts", "service"},
    "relay": {"contracts", "service"},
    "search": {"contracts", "service"},
    **dict.fromkeys(SERVICES, SHARED),
    "chain": SHARED | {"bridge", "fleet"},
    "doctor": SHARED | {"bridge", "gateway"},
    "cli": SHARED | SERVICES | {"chain", "doctor", "fleet"},
}
# What a laptop that installs only the bridge must not need.
NOT_IN_BASE = {"llama_cpp", "tree_sitter", "tantivy", "jinja2", "prometheus_client"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def packages() -> list[str]:
    return sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__")


def test_every_package_has_a_rule() -> None:
    assert set(packages()) == set(ALLOWED)


@pytest.mark.parametrize("package", packages())
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    files = sorted((SOURCE / package).rglob("*.py"))
    assert files
    found = {
        (str(path.relative_to(SOURCE)), name)
        for path in files
        for name in imports(path)
        if name.startswith("bawn.") and name.split(".")[1] not in ALLOWED[package] | {package}
    }
    assert not found


@pytest.mark.parametrize("package", ["contracts", "service", "fleet", "relay", "bridge", "chain", "doctor"])
def test_the_laptop_side_needs_no_extra(package: str) -> None:
    found = {
        (path.name, name)
        for path in (SOURCE / package).rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in NOT_IN_BASE
    }
    assert not found
