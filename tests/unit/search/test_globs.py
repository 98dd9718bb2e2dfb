import re

import pytest

from bawn.contracts.errors import InvalidRequest
from bawn.search.globs import MAX_GLOB, path_pattern


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("src/bawn", ["src/bawn", "src/bawn/a.py", "src/bawn/b/c.py"], ["src/bawn2/a.py", "x/src/bawn/a.py"]),
        ("src/", ["src/a.py", "src/b/c.py"], ["srcs/a.py"]),
        ("*.py", ["a.py", "src/b/a.py"], ["a.pyi", "a.py/b"]),
        ("src/*.py", ["src/a.py"], ["src/b/a.py"]),
        ("src/**/test_*.py", ["src/test_a.py", "src/x/y/test_b.py"], ["test_a.py", "src/a.py"]),
        ("a?.c", ["ab.c", "x/ab.c"], ["a.c", "a/.c"]),
        ("we[i]rd(1)+.txt", ["we[i]rd(1)+.txt"], ["weird1.txt"]),
    ],
)
def test_a_filter_matches_whole_paths(glob: str, inside: list[str], outside: list[str]) -> None:
    pattern = re.compile(path_pattern(glob))
    assert [path for path in inside if not pattern.fullmatch(path)] == []
    assert [path for path in outside if pattern.fullmatch(path)] == []


@pytest.mark.parametrize("glob", ["/etc", "../x", "a/../../b", "x\0y", "a" * (MAX_GLOB + 1)])
def test_a_filter_that_leaves_the_repository_or_is_too_long_is_refused(glob: str) -> None:
    with pytest.raises(InvalidRequest):
        path_pattern(glob)
