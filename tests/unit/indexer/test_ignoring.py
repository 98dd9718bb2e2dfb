import os
from pathlib import Path

import pytest

from bawn.indexer.ignoring import Ignoring
from support.indexes import git, repository, write

FILES = [
    "a.py", "a.log", "build/x.py", "sub/build/y.py", "sub/keep.log", "sub/deep/z.log", "sub/deep/w.py", "data/big.csv",
    "docs/readme.md", "docs/api/gen.md", "é/ü.txt",
]  # fmt: skip
RULES = [
    {"": "*.log\n/build/\n"},
    {"": "*.log\n", "sub": "!keep.log\n"},
    {"": "data/\n!data/big.csv\n"},
    {"": "docs/*\n!docs/readme.md\n", "docs": "api/\n"},
    {"sub/deep": "*\n!w.py\n"},
    {"": "# nothing\n\n\\#x\n"},
    {"": "*\n!*/\n!*.py\n"},
    {"": "é/\n", "sub": "/build\n"},
    {"": "***[\n!\na.py\n"},
]


def _reader(rules: dict[str, str]):
    return lambda path: (
        rules[key].encode() if (key := os.fsdecode(path).rpartition(".bawnignore")[0].rstrip("/")) in rules else None
    )


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: repr(rules)[:40])
def test_files_are_left_out_as_git_would_by_rules_of_the_same_form(rules: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, {"r/.keep": ""})
    root = repository(tmp_path / "r", {})
    write(root, dict.fromkeys(FILES, ""))
    write(root, {f"{folder}/.gitignore".lstrip("/"): text for folder, text in rules.items()})
    kept = git(root, "-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard").splitlines()
    ignoring = Ignoring(_reader(rules))
    assert [file for file in FILES if ignoring.left_out(file.encode()) is None] == [f for f in FILES if f in kept]


def test_of_an_ignored_folder_only_the_outermost_is_told() -> None:
    ignoring = Ignoring(_reader({"": "data/\n", "data": "!x\n", "data/deep": "y\n"}))
    assert ignoring.left_out(b"data/deep/er/y") == b"data/"
    assert ignoring.folder_left_out(b"data") == b"data/"
    assert ignoring.left_out(b"other/data") is None


def test_a_path_that_is_no_text_is_judged_too() -> None:
    ignoring = Ignoring(_reader({"": "*.log\nodd*/\n"}))
    assert ignoring.left_out(b"\xff.log") == b"\xff.log"
    assert ignoring.left_out(b"odd\xfe/a.py") == b"odd\xfe/"
    assert ignoring.left_out(b"\xff.py") is None


def test_folders_may_be_as_deep_as_they_like() -> None:
    ignoring = Ignoring(_reader({"": "z\n"}))
    assert ignoring.left_out(b"a/" * 2_000 + b"z") == b"a/" * 2_000 + b"z"


def test_a_broken_or_huge_file_of_rules_says_nothing() -> None:
    assert Ignoring(lambda _: b"\xff\xfe\x00[" * 400_000).left_out(b"a.py") is None
    assert Ignoring(lambda _: b"\xff\xfe\x00[\n").left_out(b"a.py") is None
