"""What `.gitattributes` files declare of a file by GitHub Linguist's names: vendored, generated, documentation."""

import re
from typing import Final

import msgspec

from bawn.indexer.folder_rules import FolderRules, ReadFile
from bawn.indexer.patterns import Pattern, read_pattern
from bawn.search.documents import Kind

NAME: Final = ".gitattributes"

Declared = dict[Kind, bool]
"""Kinds that a file is said to be of, or not to be of; what is not in it is for us to guess."""

_KINDS: Final[dict[str, Kind]] = {
    "linguist-vendored": "vendored",
    "linguist-generated": "generated",
    "linguist-documentation": "docs",
}
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s+(.*)')


class _Line(msgspec.Struct, frozen=True):
    pattern: Pattern
    says: dict[Kind, bool | None]
    """None where the attribute is unspecified again."""


class Declarations:
    """The `.gitattributes` files of a repository. Macros, and what is configured outside of them, don't count."""

    def __init__(self, read: ReadFile) -> None:
        self._rules = FolderRules(NAME, read, _parse)

    def of(self, path: bytes) -> Declared:
        """What is declared of the file at `path`: of several lines the last one counts, of files the deepest."""
        text = path.decode("latin-1")
        found: dict[Kind, bool | None] = {}
        for prefix, lines in self._rules.above(path.rpartition(b"/")[0]):
            names = text[prefix:].split("/")
            for line in lines:
                if line.pattern.matches(names, is_folder=False):
                    found |= line.says
        return {kind: value for kind, value in found.items() if value is not None}


def _parse(lines: list[str]) -> list[_Line]:
    return [line for text in lines if "linguist-" in text and (line := _line(text.strip()))]


def _line(text: str) -> _Line | None:
    if text.startswith(("#", "!", "[attr]")):
        return None
    quoted = _QUOTED.match(text)
    if quoted:
        pattern, attributes = re.sub(r"\\(.)", r"\1", quoted[1]), quoted[2]
    else:
        pattern, _, attributes = text.replace("\t", " ").partition(" ")
    says: dict[Kind, bool | None] = {}
    for attribute in attributes.split():
        name, _, value = attribute.lstrip("-!").partition("=")
        if name in _KINDS:
            unset = attribute.startswith("-") or value.lower() == "false"
            says[_KINDS[name]] = None if attribute.startswith("!") else not unset
    read = read_pattern(pattern) if says else None
    return _Line(read, says) if read else None
