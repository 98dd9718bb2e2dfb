"""The text that is made of a document, with its headings marked as in Markdown and its lines short enough to be cut."""

import re
import textwrap
from typing import Final

from bawn.indexer.contents import SkipReason

MAX_TEXT: Final = 6_000_000
"""Characters of one document: some 2,000 dense pages."""
_WIDTH: Final = 100
_WORDY: Final = 10_000
"""Characters of a paragraph above which no words are looked for: it is data."""
_SPECIAL: Final = re.compile(r"#{1,6} |```")
# What is no character of a text. The last one stands for a hyphen at the end of a line, and is dealt with before.
_CONTROLS: Final = dict.fromkeys([*range(9), *range(11, 32), 127, 0xFFFE, 0xFFFF])


class LeftOut(Exception):
    """A document can't be in an index."""

    def __init__(self, reason: SkipReason) -> None:
        super().__init__(reason)
        self.reason: SkipReason = reason


class Text:
    """Lines of text, as they are collected from a document."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0
        self.has_headings = False

    def line(self, line: str) -> None:
        """Add one line as it is, less what is no character.

        Raises:
            LeftOut: there is more text than a document has.
        """
        self._size += len(line) + 1
        if self._size > MAX_TEXT:
            raise LeftOut("too_large")
        self._lines.append(line.translate(_CONTROLS).rstrip())

    def heading(self, level: int, title: str) -> None:
        """Add a heading of `level` 1 to 6."""
        if title := " ".join(title.split()):
            self.has_headings = True
            self._separate()
            self.line(f"{'#' * level} {title}")

    def paragraph(self, text: str, first: str = "", *, apart: bool = True) -> None:
        """Add the words of `text` as short lines, with `first` before the first one; no words, no paragraph."""
        words = " ".join(text.split())
        if not words:
            return
        if apart:
            self._separate()
        lines = [words]
        if len(words) <= _WORDY:
            lines = textwrap.wrap(words, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for at, line in enumerate(lines):
            mark = first if at == 0 else " " * len(first)
            self.line(f"\\{line}" if not mark and _SPECIAL.match(line) else mark + line)

    def code(self, text: str) -> None:
        """Add the lines of `text` as they are, in a fence."""
        lines = text.strip("\n").split("\n")
        if not any(line.strip() for line in lines):
            return
        fence = "```" if "```" not in text else "`" * 8
        self._separate()
        for line in (fence, *lines, fence):
            self.line(line)

    def _separate(self) -> None:
        if self._lines and self._lines[-1]:
            self.line("")

    def joined(self) -> str:
        """The whole text, with a line break at its end; empty where there is none."""
        return "\n".join([*self._lines, ""]) if self._size else ""
