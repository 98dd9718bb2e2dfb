import os
from pathlib import Path

import pytest

from bawn.indexer.linguist import Declarations
from support.indexes import git, repository, write

FILES = [
    "a.pb.go", "vendor/x.go", "vendor/ours/y.go", "docs/a.md", "docs/deep/b.md", "gen", "gen/c.py", "sub/gen/d.py",
    "with space.c",
    "sub/e.c", "[x].c",
]  # fmt: skip
RULES = [
    {"": "*.pb.go linguist-generated\nvendor/** linguist-vendored\n"},
    {"": "vendor/** linguist-vendored\nvendor/ours/** -linguist-vendored\n"},
    {"": "vendor/** linguist-vendored=true\nvendor/ours/** linguist-vendored=false text\n"},
    {"": "docs/* linguist-documentation\n"},
    {"": "docs linguist-documentation\ndocs/ linguist-documentation\n"},
    {"": "gen linguist-generated\n"},
    {"": '"with space.c" linguist-vendored\n\\[x\\].c\tlinguist-generated -text\n'},
    {"": "* linguist-generated\n", "sub": "*.c !linguist-generated\n/gen/** -linguist-generated linguist-vendored\n"},
    {"": "# x linguist-vendored\n!a.pb.go linguist-vendored\n*.c diff=cpp\n"},
    {"": "*.c linguist-vendored\n*.c !linguist-vendored\n"},
    {"": "**/gen/* linguist-generated\n/sub/*.c linguist-documentation\n"},
]
NAMES = {"linguist-vendored": "vendored", "linguist-generated": "generated", "linguist-documentation": "docs"}


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: repr(rules)[:50])
def test_files_are_declared_as_git_reads_the_attributes(rules: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, {"r/.keep": ""})
    root = repository(tmp_path / "r", {})
    write(root, {f"{folder}/.gitattributes".lstrip("/"): text for folder, text in rules.items()})
    told: dict[str, dict[str, bool]] = {file: {} for file in FILES}
    for line in git(root, "check-attr", *NAMES, "--", *FILES).splitlines():
        file, name, value = line.rsplit(": ", 2)
        if value != "unspecified":
            told[file.strip('"')][NAMES[name]] = value not in ("unset", "false")

    def read(path: bytes) -> bytes | None:
        text = rules.get(os.fsdecode(path).rpartition(".gitattributes")[0].rstrip("/"))
        return None if text is None else text.encode()

    declarations = Declarations(read)
    assert {file: declarations.of(file.encode()) for file in FILES} == told


def test_a_path_that_is_no_text_is_judged_too() -> None:
    assert Declarations(lambda path: b"*.c linguist-vendored" if b"/" not in path else None).of(b"x\xff/\xfe.c") == {
        "vendored": True
    }
