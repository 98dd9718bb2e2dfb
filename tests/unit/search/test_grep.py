import pytest

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.search import CODE_INDEX
from bawn.search.backend import Scope
from bawn.search.embedded import EmbeddedIndex
from bawn.search.grep import grep
from bawn.search.results import MAX_LINE
from support.indexes import index, write

FILES: dict[str, str | bytes] = {
    "src/pool.py": "class Pool:\n    def acquire(self):\n        return 1\n\n    def release(self): ...\n",
    "src/user.py": "from pool import Pool\n\nPool().acquire()\n",
    "src/server.go": "package main\n\nfunc Acquire() {}\n",
    "data.txt": "x" * 2000 + " needle " + "y" * 2000 + "\n",
    **{f"many/file_{n:03}.py": f"VALUE = {n}\n" for n in range(300)},
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    root = tmp_path_factory.mktemp("grep")
    write(root / "demo", FILES)
    write(root / "other", {"pool.py": "def acquire(): ...\n"})
    index(root / "index", root / "demo", root / "other")
    return EmbeddedIndex(root / "index" / CODE_INDEX)


def _found(backend: EmbeddedIndex, pattern: str, *, ignore_case: bool = False, limit: int = 100, **scope: str):
    matches = grep(backend, pattern, Scope(**scope), limit, ignore_case=ignore_case)
    return [(line.repo, line.path, line.line) for line in matches.lines]


def test_lines_are_found_by_repository_path_and_number(backend: EmbeddedIndex) -> None:
    assert _found(backend, r"def (acquire|release)\(") == [
        ("demo", "src/pool.py", 2),
        ("demo", "src/pool.py", 5),
        ("other", "pool.py", 1),
    ]


def test_a_scope_leaves_other_files_out(backend: EmbeddedIndex) -> None:
    assert _found(backend, "acquire", repo="other") == [("other", "pool.py", 1)]
    assert _found(backend, "(?i)acquire", language="go") == [("demo", "src/server.go", 3)]
    assert _found(backend, "acquire", path="src/user.py") == [("demo", "src/user.py", 3)]
    assert _found(backend, "acquire", path="nowhere") == []


def test_case_counts_unless_told_otherwise(backend: EmbeddedIndex) -> None:
    assert ("demo", "src/server.go", 3) not in _found(backend, "acquire")
    assert ("demo", "src/server.go", 3) in _found(backend, "acquire", ignore_case=True)


def test_a_pattern_without_a_word_is_looked_for_everywhere(backend: EmbeddedIndex) -> None:
    assert len(_found(backend, r"^\w+ = \d+$", limit=1000)) == 300


def test_lines_end_at_the_limit_and_the_rest_is_not_read(backend: EmbeddedIndex) -> None:
    matches = grep(backend, "VALUE", Scope(), 5)
    assert len(matches.lines) == 5
    assert matches.searched_files < matches.files == 305


def test_when_the_time_is_over_what_is_likely_has_been_looked_into(backend: EmbeddedIndex) -> None:
    times = iter(float(n) for n in range(1000))
    matches = grep(backend, r"VALUE = 299\b", Scope(), 100, within_s=0.5, clock=lambda: next(times))
    assert [line.path for line in matches.lines] == ["many/file_299.py"]
    assert matches.searched_files < matches.files


def test_of_a_long_line_the_part_that_matches_is_shown(backend: EmbeddedIndex) -> None:
    (line,) = grep(backend, "needle", Scope(), 10).lines
    assert "needle" in line.text
    assert len(line.text) <= MAX_LINE + 2


@pytest.mark.parametrize("pattern", ["", "(", "a" * 501, r"(a)\1", "(?=x)", "a**"])
def test_what_is_no_expression_is_refused_with_the_reason(backend: EmbeddedIndex, pattern: str) -> None:
    with pytest.raises(InvalidRequest, match="`pattern`"):
        grep(backend, pattern, Scope(), 10)


def test_an_expression_that_would_take_others_years_takes_no_time(backend: EmbeddedIndex) -> None:
    assert _found(backend, r"(x+x+)+z") == []
