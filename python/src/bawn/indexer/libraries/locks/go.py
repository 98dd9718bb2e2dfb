"""go.mod, with the hashes of the go.sum beside it."""

import re
from collections.abc import Iterator
from typing import Final

from bawn.indexer.libraries.library import Library

_BLOCK: Final = re.compile(r"^(require|replace)\s*\(\s*(?://.*)?$")
_REQUIRED: Final = re.compile(r"(\S+)\s+(v\S+)\s*(//\s*indirect\b)?")
_REPLACED: Final = re.compile(r"(\S+)(?:\s+(v\S+))?\s+=>\s+(\S+)(?:\s+(v\S+))?")


def go_mod(content: str, sums: str | None, *, every: bool) -> list[Library]:
    """Of `go.mod`; direct is what has no mark `// indirect`. What a local folder replaces is none."""
    hashes: dict[tuple[str, str], list[str]] = {}
    for line in (sums or "").splitlines():
        parts = line.split()
        if len(parts) == 3:
            hashes.setdefault((parts[0], parts[1]), []).append(parts[2])
    replaced: dict[tuple[str, str], tuple[str, str]] = {}
    required: list[tuple[str, str]] = []
    for verb, line in _directives(content):
        if verb == "replace" and (found := _REPLACED.match(line)):
            replaced[found[1], found[2] or ""] = (found[3], found[4] or "")
        elif verb == "require" and (found := _REQUIRED.match(line)) and (every or not found[3]):
            required.append((found[1], found[2]))
    libraries: list[Library] = []
    for module in required:
        name, version = replaced.get(module) or replaced.get((module[0], "")) or module
        if version:
            libraries.append(Library("go", name, version, hashes.get((name, version), [])))
    return libraries


def _directives(content: str) -> Iterator[tuple[str, str]]:
    block = ""
    for line in map(str.strip, content.splitlines()):
        if block:
            if line.startswith(")"):
                block = ""
            else:
                yield block, line
        elif begun := _BLOCK.match(line):
            block = begun[1]
        else:
            verb, _, rest = line.replace("\t", " ").partition(" ")
            yield verb, rest.strip()
