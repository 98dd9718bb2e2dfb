"""Comments of languages with braces that fill lines of their own."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_RUN: Final = re.compile(r"^\s*//[/!](?!/)\s?(.*)$")
_OPEN: Final = re.compile(r"^\s*/\*+!?")
_EDGE: Final = re.compile(r"^\s*\*(?!/)\s?")


class Comment(NamedTuple):
    """Rows are from 0, the last one excluded."""

    start: int
    end: int
    text: str


def comments(lines: Sequence[str]) -> list[Comment]:
    """Runs of `///` and `//!`, and blocks between `/*` and `*/` with nothing beside them."""
    found: list[Comment] = []
    row = 0
    while row < len(lines):
        if _RUN.match(lines[row]):
            end = row
            said: list[str] = []
            while end < len(lines) and (line := _RUN.match(lines[end])):
                said.append(line[1])
                end += 1
            found.append(Comment(row, end, "\n".join(said)))
            row = end
        elif _OPEN.match(lines[row]):
            end = next((at for at in range(row, len(lines)) if "*/" in lines[at]), None)
            if end is None:
                break
            if not lines[end].partition("*/")[2].strip():
                found.append(Comment(row, end + 1, _block(lines[row : end + 1])))
            row = end + 1
        else:
            row += 1
    return found


def _block(lines: Sequence[str]) -> str:
    first, *rest = "\n".join(lines).partition("*/")[0].split("\n")
    return "\n".join([_OPEN.sub("", first).strip(), *(_EDGE.sub("", line).rstrip() for line in rest)]).strip("\n")
