from pathlib import Path

import pytest

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.search import CODE_INDEX, SymbolResult
from bawn.search.backend import Scope
from bawn.search.embedded import EmbeddedIndex
from bawn.search.symbols import find_symbol
from support.indexes import index, write

FILES: dict[str, str | bytes] = {
    "src/pool.py": "class Pool:\n    def acquire(self):\n        return self._free.pop()\n",
    "src/lock.py": "class Lock:\n    def acquire(self):\n        return self._held\n\n\n# acquire before use\n",
    "src/user.py": "from pool import Pool\n\n\ndef work():\n    with Pool().acquire() as one:\n        return one\n",
    "tests/test_pool.py": "def acquire():\n    return Pool()\n",
    "src/names.ts": "export function readFile(path: string) {\n  return path;\n}\n",
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    root: Path = tmp_path_factory.mktemp("symbols")
    write(root / "demo", FILES)
    index(root / "index", root / "demo")
    return EmbeddedIndex(root / "index" / CODE_INDEX)


def _definitions(result: SymbolResult) -> list[str]:
    return [chunk.path for chunk in result.definitions]


def test_definitions_come_sources_first(backend: EmbeddedIndex) -> None:
    assert _definitions(find_symbol(backend, "acquire", Scope(), 10)) == [
        "src/lock.py",
        "src/pool.py",
        "tests/test_pool.py",
    ]


@pytest.mark.parametrize("name", ["Pool.acquire", "Pool::acquire", "Pool->acquire()", "pool.Pool.acquire"])
def test_the_owner_in_a_name_tells_definitions_apart(backend: EmbeddedIndex, name: str) -> None:
    assert _definitions(find_symbol(backend, name, Scope(), 10)) == ["src/pool.py"]


def test_an_owner_that_nothing_has_is_passed_over(backend: EmbeddedIndex) -> None:
    assert "src/pool.py" in _definitions(find_symbol(backend, "somewhere.acquire", Scope(), 10))


def test_a_name_in_another_spelling_is_found_where_none_is_spelt_so(backend: EmbeddedIndex) -> None:
    assert _definitions(find_symbol(backend, "read_file", Scope(), 10)) == ["src/names.ts"]
    assert _definitions(find_symbol(backend, "POOL", Scope(), 10)) == ["src/pool.py"]


def test_uses_are_lines_and_leave_the_definitions_out(backend: EmbeddedIndex) -> None:
    lines = [(line.path, line.line) for line in find_symbol(backend, "Pool", Scope(), 10).references]
    assert set(lines) == {("src/user.py", 1), ("src/user.py", 5), ("tests/test_pool.py", 2)}


def test_calls_come_before_mentions(backend: EmbeddedIndex) -> None:
    paths = [line.path for line in find_symbol(backend, "acquire", Scope(), 10).references]
    assert paths.index("src/user.py") < paths.index("src/lock.py")


def test_a_part_of_a_longer_name_is_no_use_of_it(backend: EmbeddedIndex) -> None:
    assert find_symbol(backend, "read", Scope(), 10) == SymbolResult([], [])


def test_limit_holds_for_definitions_and_for_uses(backend: EmbeddedIndex) -> None:
    result = find_symbol(backend, "Pool", Scope(), 1)
    assert (len(result.definitions), len(result.references)) == (1, 1)


@pytest.mark.parametrize("name", ["", "   ", "two names", "->", "x" * 201])
def test_what_is_no_name_is_refused(backend: EmbeddedIndex, name: str) -> None:
    with pytest.raises(InvalidRequest, match="`name`"):
        find_symbol(backend, name, Scope(), 10)
