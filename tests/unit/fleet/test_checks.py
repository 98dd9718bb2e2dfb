"""A fleet that can't work is refused, and everything that is wrong with it is said at once."""

import re
from pathlib import Path
from typing import Any

import pytest

from bawn.fleet import memory
from bawn.fleet.checks import entries, problems
from bawn.fleet.problems import BrokenFleet
from bawn.fleet.reading import read_fleet, to_fleet
from bawn.fleet.schema import Repository

HERE = Path(__file__).parent
MODULES = HERE.parents[2] / "nixos-modules"
BROKEN = sorted((HERE / "broken").glob("*.toml"))
EXAMPLES = sorted((HERE / "examples").glob("*.toml"))


def found_in(path: Path) -> list[str]:
    try:
        return [str(problem) for problem in problems(read_fleet(path))]
    except BrokenFleet as error:
        return [str(problem) for problem in error.problems]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_fleet_is_told_what_its_first_lines_say(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [line.removeprefix("# ") for line in lines[: next(n for n, line in enumerate(lines) if line[:1] != "#")]]
    assert expected
    assert found_in(path) == expected


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_work(path: Path) -> None:
    assert found_in(path) == []


def test_everything_that_is_wrong_is_said_at_once() -> None:
    data: dict[str, Any] = {
        "name": "Example!",
        "tailnet": {"base_domain": "example.org", "server_url": "https://headscale.example.org"},
        "people": {"ada": {"login": "ada", "models": ["none"], "indexes": ["none"]}},
        "nodes": {"a": {"role": "laptop"}, "b": {"role": "gpu", "models": ["x"]}, "c": {"role": "router"}},
        "aliases": {"d": "e"},
        "repositories": {"f": {}},
    }
    keys = [problem.key for problem in problems(to_fleet(data, origin="f"))]
    assert keys == [
        "aliases.d",
        "name",
        "nodes",
        "nodes",
        "nodes.a.owner",
        "nodes.b.models",
        "nodes.c.role",
        "people.ada.indexes",
        "people.ada.login",
        "people.ada.models",
        "repositories.f",
        "tailnet.base_domain",
    ]


def test_a_name_that_needs_quotes_in_toml_has_them_in_the_key() -> None:
    data: dict[str, Any] = {"name": "e", "tailnet": {"base_domain": "t.example"}, "aliases": {"gpt-4.1": "x"}}
    assert 'aliases."gpt-4.1"' in [problem.key for problem in problems(to_fleet(data, origin="f"))]


def test_a_repository_of_several_branches_is_shown_once_a_branch() -> None:
    assert entries("app", Repository(path="/a")) == ["app"]
    assert entries("app", Repository(path="/a", branches=["main", "fix/1"])) == ["app/main", "app/fix-1"]


def test_a_gateway_has_enough_with_the_sum_of_its_caps_and_not_with_less() -> None:
    fleet = read_fleet(HERE / "examples" / "own-gpu.toml")
    need = sum(memory.GATEWAY_CAPS.values()) + memory.INDEXER_CAP + memory.PUSH_CAP + memory.SYSTEM

    def keys(mib: int, repositories: dict[str, Any], embedding_model: str | None = None, **how: bool) -> list[str]:
        data = {"role": "gateway", "memory_mib": mib}
        gpu = {"role": "gpu", "models": ["coder"], "embedding_model": embedding_model}
        models = {name: {"file": f"{name}.gguf", "size_mib": 1} for name in ("coder", embedding_model) if name}
        changed = to_fleet(
            {
                "name": fleet.name,
                "tailnet": {"base_domain": "t.example", "server_url": "https://headscale.example.org"},
                "people": {"ada": {"login": "ada@example.org"}},
                "models": models,
                "nodes": {"h": {"role": "headscale"}, "g": data, "gpu": gpu},
                "repositories": repositories,
            },
            origin="f",
        )
        return [problem.key for problem in problems(changed, **how)]

    repository = {"app": {"path": "/srv/git/app"}}
    assert keys(need, repository) == []
    assert keys(need - 1, repository) == ["nodes.g.memory_mib"]
    assert keys(need - memory.INDEXER_CAP - memory.PUSH_CAP, {}) == []
    assert keys(need - 1, repository, caps=False) == []
    assert keys(need + memory.EMBEDDER_CAP, repository, "embedder") == []
    assert keys(need + memory.EMBEDDER_CAP - 1, repository, "embedder") == ["nodes.g.memory_mib"]
    # What fetches is counted where there is something to fetch.
    for more in ({"libraries": "all"}, {"path": None, "url": "https://git.example.org/app"}):
        fetched = {"app": {"path": "/srv/git/app", **more}}
        assert keys(need + memory.FETCH_CAP, fetched) == []
        assert keys(need + memory.FETCH_CAP - 1, fetched) == ["nodes.g.memory_mib"]


@pytest.mark.parametrize(
    ("module", "option", "mib"),
    [
        ("gateway", "memoryMiB", memory.GATEWAY_CAPS["gateway"]),
        ("tailnet", "memoryMiB", memory.GATEWAY_CAPS["tailnet"]),
        ("monitoring", "memoryMiB", memory.GATEWAY_CAPS["monitoring"]),
        ("indexer", "memoryMiB", memory.INDEXER_CAP),
        ("memory", "systemMiB", memory.SYSTEM),
    ],
)
def test_caps_are_the_defaults_of_the_nixos_modules(module: str, option: str, mib: int) -> None:
    text = (MODULES / f"{module}.nix").read_text(encoding="utf-8")
    default = re.search(rf"{option} = (?:lib\.)?mkOption \{{.*?default = (\d+);", text, re.DOTALL)
    assert default is not None
    assert int(default[1]) == mib


def test_the_cap_of_the_health_gate_is_the_sum_of_its_units() -> None:
    text = (MODULES / "health-gate.nix").read_text(encoding="utf-8")
    assert sum(int(mib) for mib in re.findall(r'MemoryMax = "(\d+)M"', text)) == memory.GATEWAY_CAPS["health-gate"]
