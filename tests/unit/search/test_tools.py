import shutil
from pathlib import Path

import pytest

from bawn.contracts.errors import InvalidRequest, NotFound, Unavailable
from bawn.search.reading import MAX_LINES
from bawn.search.tools import IndexSearch
from support.indexes import index, write

FILES: dict[str, str | bytes] = {
    "src/retry.py": 'class RetryPolicy:\n    """How often."""\n\n    def backoff_delay(self, attempt):\n'
    "        return min(60, 2**attempt)\n",
    "tests/test_retry.py": "def test_backoff_delay():\n    assert RetryPolicy().backoff_delay(1) == 2\n" * 3,
    "docs/retry.md": "# RetryPolicy\n\nCall `RetryPolicy().backoff_delay(n)` for the backoff delay.\n",
    "vendor/retry.py": "class RetryPolicy:\n    def backoff_delay(self): pass\n",
    "src/caller.py": "from retry import RetryPolicy\n\n\ndef call():\n    RetryPolicy().backoff_delay(3)\n",
    "src/server.go": "package main\n\nfunc ServeHTTP() {}\n",
    "long.txt": "".join(f"line {n}\n" for n in range(1, 3001)),
}


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> IndexSearch:
    root = tmp_path_factory.mktemp("search")
    write(root / "demo", FILES)
    write(root / "other", {"src/retry.py": "def unrelated_backoff_delay(): ...\n"})
    index(root / "index", root / "demo", root / "other")
    return IndexSearch(root / "index")


def _paths(search: IndexSearch, query: str, **scope: str) -> list[str]:
    return [chunk.path for chunk in search.search(query, **scope).chunks]  # pyright: ignore[reportArgumentType]


def test_a_symbol_is_found_first_where_it_is_defined(search: IndexSearch) -> None:
    for query in ("RetryPolicy", "backoff_delay", "RetryPolicy.backoff_delay", "backoffDelay"):
        assert _paths(search, query, repo="demo")[0] == "src/retry.py", query


def test_words_of_a_name_find_its_definition(search: IndexSearch) -> None:
    assert _paths(search, "delay of the backoff", repo="demo")[0] == "src/retry.py"
    assert _paths(search, "serve http")[0] == "src/server.go"


def test_tests_and_vendored_code_come_after_sources(search: IndexSearch) -> None:
    paths = _paths(search, "backoff delay", repo="demo")
    assert paths.index("src/retry.py") < paths.index("tests/test_retry.py")
    assert paths.index("src/retry.py") < paths.index("vendor/retry.py")


def test_who_asks_for_tests_gets_tests(search: IndexSearch) -> None:
    assert _paths(search, "test of the backoff delay", repo="demo")[0] == "tests/test_retry.py"


def test_a_path_query_finds_the_file_from_its_top(search: IndexSearch) -> None:
    first = search.search("src/caller.py").chunks[0]
    assert (first.path, first.start_line) == ("src/caller.py", 1)


def test_scopes_narrow_what_is_found(search: IndexSearch) -> None:
    assert {chunk.repo for chunk in search.search("backoff delay", repo="other").chunks} == {"other"}
    assert set(_paths(search, "backoff delay", path="src/*.py")) <= {"src/retry.py", "src/caller.py"}
    assert set(_paths(search, "backoff delay", path="tests")) == {"tests/test_retry.py"}
    assert set(_paths(search, "serve http", language="golang")) == {"src/server.go"}


def test_one_file_does_not_fill_the_results(search: IndexSearch) -> None:
    assert _paths(search, "line", repo="demo").count("long.txt") <= 5


def test_nothing_is_found_for_words_that_are_nowhere(search: IndexSearch) -> None:
    assert search.search("zyzzyva").chunks == []


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        ("", {}),
        ("x" * 5000, {}),
        ("a", {"limit": 0}),
        ("a", {"limit": 51}),
        ("a", {"path": "../x"}),
        ("a", {"language": "klingon"}),
    ],
)
def test_a_bad_argument_is_an_invalid_request(search: IndexSearch, query: str, scope: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        search.search(query, **scope)  # pyright: ignore[reportArgumentType]


def test_an_unknown_repository_is_named_with_the_known_ones(search: IndexSearch) -> None:
    with pytest.raises(NotFound, match=r"nope.*demo, other"):
        search.search("a", repo="nope")


def test_a_file_is_read_as_it_was_indexed(search: IndexSearch) -> None:
    whole = search.read_file("demo", "src/caller.py")
    assert whole.text + "\n" == FILES["src/caller.py"]
    assert (whole.start_line, whole.end_line, whole.total_lines) == (1, 5, 5)


def test_a_range_crosses_chunks(search: IndexSearch) -> None:
    part = search.read_file("demo", "long.txt", 50, 170)
    assert part.text.split("\n") == [f"line {n}" for n in range(50, 171)]
    assert (part.start_line, part.end_line, part.total_lines) == (50, 170, 3000)


def test_reading_is_bounded_and_says_where_it_stopped(search: IndexSearch) -> None:
    part = search.read_file("demo", "long.txt")
    assert part.end_line == MAX_LINES
    assert part.text.count("\n") == MAX_LINES - 1
    assert search.read_file("demo", "long.txt", part.end_line + 1).text.startswith(f"line {MAX_LINES + 1}\n")


@pytest.mark.parametrize("path", ["/etc/passwd", "../demo/src/retry.py", "src/../../x", "~/x", "", ".", "a\0b"])
def test_a_path_that_could_escape_is_refused(search: IndexSearch, path: str) -> None:
    with pytest.raises(InvalidRequest):
        search.read_file("demo", path)


@pytest.mark.parametrize(("start", "end"), [(0, None), (-1, 3), (4, 3), (6, None)])
def test_a_range_that_can_not_be_is_refused(search: IndexSearch, start: int, end: int | None) -> None:
    with pytest.raises(InvalidRequest):
        search.read_file("demo", "src/caller.py", start, end)


def test_a_file_of_another_repository_is_not_found(search: IndexSearch) -> None:
    with pytest.raises(NotFound):
        search.read_file("other", "src/caller.py")
    with pytest.raises(NotFound):
        search.read_file("nope", "src/caller.py")


def test_without_an_index_the_mend_is_named(tmp_path: Path) -> None:
    search = IndexSearch(tmp_path / "none")
    assert not search.ready()
    with pytest.raises(Unavailable, match="bawn index add"):
        search.search("a")


def test_an_index_made_later_is_found(tmp_path: Path) -> None:
    search = IndexSearch(tmp_path / "index")
    assert not search.ready()
    write(tmp_path / "demo", FILES)
    index(tmp_path / "index", tmp_path / "demo")
    assert search.ready()
    assert search.repos() == ["demo"]


def test_an_index_that_takes_the_place_of_a_deleted_one_is_read(tmp_path: Path) -> None:
    place, search = tmp_path / "index", IndexSearch(tmp_path / "index")
    for number in range(8):  # file systems give the inode number of what was deleted to what comes next
        write(tmp_path / f"demo{number}", {"turn.py": f"def turn_number_{number}(): ...\n"})
        shutil.rmtree(place, ignore_errors=True)
        index(place, tmp_path / f"demo{number}")
        assert search.search(f"turn_number_{number}").chunks, number


def test_an_index_of_another_format_is_refused_with_the_mend(tmp_path: Path) -> None:
    write(tmp_path / "demo", {"a.py": "x = 1\n"})
    index(tmp_path / "index", tmp_path / "demo")
    (tmp_path / "index" / "code" / "format.json").write_text('{"format": 99}')
    with pytest.raises(Unavailable, match=r"format 99.*--rebuild"):
        IndexSearch(tmp_path / "index").search("a")
