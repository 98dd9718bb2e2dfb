"""Definitions of a file and their comments, whatever the language; and the file without those comments."""

import re
from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

MOST_LINES: Final = 2_000
"""Of a definition: what seems longer was not understood."""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """Lines are from 1, the last one included."""

    name: str
    sort: Literal["function", "type"]
    start: int
    """Where the signature begins."""
    end: int
    doc: str = ""
    """What its comment says, without the marks of a comment."""
    comment: tuple[int, int] | None = None
    """Lines that are nothing but its comment."""
    hollow: bool = False
    """It has no body but its comment."""

    @property
    def code_lines(self) -> int:
        """Lines without the comment, if that lies within."""
        within = self.comment is not None and self.comment[0] > self.start
        return self.end - self.start + 1 - (self.comment[1] - self.comment[0] + 1 if within and self.comment else 0)


def without_comments(text: str, removed: Iterable[Definition]) -> tuple[str, Callable[[Definition], tuple[int, int]]]:
    """The file without the comments of `removed`, and where a definition then lies."""
    lines = text.split("\n")
    gone: dict[int, str | None] = {}
    for definition in removed:
        if definition.comment is None:
            continue
        first, last = definition.comment
        gone.update(dict.fromkeys(range(first, last + 1)))
        if definition.hollow:
            indent = re.match(r"\s*", lines[first - 1])
            gone[first] = f"{indent[0] if indent else ''}..."
    kept: list[str] = []
    now = [0]
    for number, line in enumerate(lines, 1):
        left = gone.get(number) if number in gone else line
        if left is not None:
            kept.append(left)
        now.append(len(kept))

    def place(definition: Definition) -> tuple[int, int]:
        return now[definition.start], now[definition.end]

    return "\n".join(kept), place
