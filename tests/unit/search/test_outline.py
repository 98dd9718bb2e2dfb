from pathlib import Path

import pytest

from bawn.contracts.search import CODE_INDEX
from bawn.search.backend import Scope
from bawn.search.embedded import EmbeddedIndex
from bawn.search.outline import outline
from bawn.search.rendering import CHARACTERS_PER_TOKEN
from support.indexes import index, write

CENTRAL = """class ConnectionPool:
    name = 1

    def acquire_one(self):
        return 1


def _inner_part(): ...
"""
USER = """from pool import ConnectionPool


def handle_NUMBER():
    name = NUMBER
    return ConnectionPool().acquire_one()
"""
FILES: dict[str, str | bytes] = {
    "src/pool.py": CENTRAL,
    **{f"src/user_{n}.py": USER.replace("NUMBER", str(n)) for n in range(8)},
    "tests/test_pool.py": "class TestEverything:\n    def test_pool(self): return ConnectionPool\n" * 3,
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    root: Path = tmp_path_factory.mktemp("outline")
    write(root / "demo", FILES)
    index(root / "index", root / "demo")
    return EmbeddedIndex(root / "index" / CODE_INDEX)


def test_what_is_used_most_is_in_the_smallest_map(backend: EmbeddedIndex) -> None:
    made = outline(backend, "demo", Scope(repo="demo"), 25)
    assert made.text.startswith("src/pool.py\n  1: class ConnectionPool:\n")
    assert "  4: def acquire_one(self):" in made.text
    assert (made.shown_files, made.files) == (1, 10)


@pytest.mark.parametrize("tokens", [1, 30, 60, 200, 10_000])
def test_a_map_keeps_within_its_budget(backend: EmbeddedIndex, tokens: int) -> None:
    made = outline(backend, "demo", Scope(repo="demo"), tokens)
    assert len(made.text) <= tokens * CHARACTERS_PER_TOKEN
    assert made.shown_files == sum(not line.startswith(" ") for line in made.text.splitlines())


def test_with_room_for_all_every_file_is_there_in_the_order_of_paths(backend: EmbeddedIndex) -> None:
    made = outline(backend, "demo", Scope(repo="demo"), 10_000)
    assert [line for line in made.text.splitlines() if not line.startswith(" ")] == sorted(FILES)


def test_a_path_leaves_other_files_out(backend: EmbeddedIndex) -> None:
    made = outline(backend, "demo", Scope(repo="demo", path="tests"), 1000)
    assert made.files == 1
    assert made.text.startswith("tests/test_pool.py\n")


def test_when_the_time_is_over_the_map_is_of_what_was_read(
    backend: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bawn.search.outline._FILES_AT_ONCE", 3)
    times = iter(float(n) for n in range(100))
    made = outline(backend, "demo", Scope(repo="demo"), 1000, within_s=0.5, clock=lambda: next(times))
    assert (made.shown_files, made.files) == (3, 10)
