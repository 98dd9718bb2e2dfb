"""Chunks of text that no grammar knows: runs of lines that end at a blank line where one is near."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

WINDOW: Final = 1_600  # characters
WINDOW_ROWS: Final = 60

_DEFINITION: Final = re.compile(
    r"^[ \t]*(?:(?:export|public|private|protected|internal|static|abstract|final|open|sealed|async|pub|local|override|"
    r"data|inline|suspend|default)\s+)*"
    r"@?(?:def|func|fun|function|fn|sub|class|interface|struct|enum|trait|module|object|protocol|message|service|rpc|"
    r"mixin|type)"
    r"\s+([A-Za-z_][\w.]*(?:-\w+)*[?!]?)",
)
_DEFINITIONS: Final[dict[str, re.Pattern[str] | None]] = {
    "cmake": re.compile(r"^\s*(?:function|macro|add_library|add_executable|add_custom_target)\s*\(\s*([\w.+-]+)"),
    "dockerfile": re.compile(r"^FROM\s+\S.*\sAS\s+([\w.-]+)", re.IGNORECASE),
    "ini": None,
    "make": re.compile(r"^([A-Za-z0-9_][\w./%-]*)[ \t]*:(?::(?!=)|(?![:=]))"),
    "sql": re.compile(
        r"^\s*(?:create|alter)\s+(?:or\s+(?:replace|alter)\s+|\w+\s+){0,3}?"
        r"(?:table|view|function|procedure|proc|trigger|type|sequence|package)\s+(?:if\s+not\s+exists\s+|body\s+)?"
        r"(?:[\w\"`\[\]]+\.)*[\"`\[]?(\w+)",
        re.IGNORECASE,
    ),
    "xml": None,
}
"""What defines a name in a language whose definitions look like nobody else's; None where nothing does."""


def windows(lines: Sequence[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut rows `start` to `end` (from 0, excluded) into windows of at most `WINDOW` characters or one line."""
    first = start
    while first < end:
        size, last, blank = 0, first, 0
        while last < end and last - first < WINDOW_ROWS:
            size += len(lines[last]) + 1
            if size > WINDOW and last > first:
                break
            last += 1
            if not lines[last - 1].strip():
                blank = last
        if last < end and blank - first > (last - first) // 2:
            last = blank
        yield first, last
        first = last


def guess_definitions(lines: Sequence[str], language: str) -> list[tuple[int, str]]:
    """Row and name of what looks like a definition; in most languages keywords say so."""
    pattern = _DEFINITIONS.get(language, _DEFINITION)
    if pattern is None:
        return []
    return [(row, match.group(1)) for row, line in enumerate(lines) if (match := pattern.match(line[:400]))]
