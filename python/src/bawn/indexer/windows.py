"""Chunks of text that no grammar knows: runs of lines that end at a blank line where one is near."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

WINDOW: Final = 1_600  # characters
WINDOW_ROWS: Final = 60

_DEFINITION: Final = re.compile(
    r"^[ \t]*(?:(?:export|public|private|protected|internal|static|abstract|final|open|sealed|async|pub|local|override|"
    r"data|inline|suspend|default)\s+)*"
    r"(?:def|func|fun|function|fn|sub|class|interface|struct|enum|trait|module|object|protocol|message|service|rpc)"
    r"\s+([A-Za-z_][\w.]*[?!]?)",
)


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


def guess_definitions(lines: Sequence[str]) -> list[tuple[int, str]]:
    """Row and name of what looks like a definition in most languages that have keywords for it."""
    return [(row, match.group(1)) for row, line in enumerate(lines) if (match := _DEFINITION.match(line[:400]))]
