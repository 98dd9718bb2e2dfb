"""The structure of documents that no grammar is needed for: sections under headings, pages, paragraphs.

Texts of three sorts come here beside reStructuredText and plain text: the pages of a PDF, and what was extracted from
Word files and web pages, which has its headings marked as in Markdown.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from bawn.indexer.syntax import Definition, Syntax, Unit

_ADORNMENT: Final = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")
_TARGET: Final = re.compile(r"\.\. _[^:]+:")
_MARKED: Final = re.compile(r"(#{1,6}) (.*)")
_FENCE: Final = re.compile(r"```+")
_PAGE: Final = re.compile(r"\[(page \d+)\]")


def page_mark(number: int) -> str:
    """The line that stands before the text of a page."""
    return f"[page {number}]"


def is_page_mark(line: str) -> bool:
    """Whether a line would be taken for a page's mark."""
    return _PAGE.fullmatch(line) is not None


class _Heading(msgspec.Struct, frozen=True):
    title: str
    level: int
    start: int
    end: int
    """Row after it."""


class _Section(msgspec.Struct):
    heading: _Heading | None
    start: int
    end: int = 0
    parts: list["_Section"] = []


def _no_headings(_: Sequence[str]) -> Iterator[_Heading]:
    return iter(())


def _adorned(lines: Sequence[str]) -> Iterator[_Heading]:
    """Headings of reStructuredText: the levels are in the order in which their adornments appear."""
    levels: dict[tuple[str, bool], int] = {}
    for row in range(1, len(lines)):
        title, line = lines[row - 1].rstrip(), lines[row].rstrip()
        if not title or not _ADORNMENT.fullmatch(line) or _ADORNMENT.fullmatch(title):
            continue
        before = lines[row - 2].rstrip() if row > 1 else ""
        over = before == line
        if len(line) < min(4, len(title)) or (not over and (before or title[0].isspace())):
            continue
        start = row - 2 if over else row - 1
        # The names by which a section is referred to stand before it.
        above = start
        while above and (not lines[above - 1].strip() or _TARGET.match(lines[above - 1])):
            above -= 1
            if lines[above].strip():
                start = above
        level = levels.setdefault((line[0], over), len(levels) + 1)
        yield _Heading(title.strip(), level, start, row + 1)


def _marked(lines: Sequence[str]) -> Iterator[_Heading]:
    fence = ""
    for row, line in enumerate(lines):
        if found := _FENCE.match(line):
            if not fence:
                fence = found.group()
            elif line.rstrip() == fence:
                fence = ""
        elif not fence and (found := _MARKED.match(line)):
            yield _Heading(found.group(2).strip(), len(found.group(1)), row, row + 1)


def _pages(lines: Sequence[str]) -> Iterator[_Heading]:
    for row, line in enumerate(lines):
        if found := _PAGE.fullmatch(line):
            yield _Heading(found.group(1), 1, row, row + 1)


_HEADINGS: Final[dict[str, Callable[[Sequence[str]], Iterator[_Heading]]]] = {
    "docx": _marked,
    "page": _marked,
    "pdf": _pages,
    "rst": _adorned,
    "text": _no_headings,
}


def is_prose(language: str) -> bool:
    """Whether `outline` knows texts of this language."""
    return language in _HEADINGS


def outline(lines: Sequence[str], language: str, offsets: Sequence[int], largest: int) -> Syntax:
    """The sections and paragraphs of a text; a paragraph of more than `largest` characters is taken apart."""
    headings = list(_HEADINGS[language](lines))
    top = _tree(headings, len(lines))
    definitions = [
        Definition(section.heading.title, section.heading.start, section.start, section.end, "", defines=False)
        for section in _all(top)
        if section.heading is not None and section.heading.title
    ]
    # A chunk is never of two pages.
    whole = 0 if language == "pdf" else largest
    return Syntax(definitions, [], list(_units(top, lines, offsets, whole, largest)), [])


def _tree(headings: Sequence[_Heading], rows: int) -> _Section:
    top = _Section(None, 0, rows)
    path = [top]
    for heading in headings:
        while path[-1].heading is not None and path[-1].heading.level >= heading.level:
            path.pop().end = heading.start
        section = _Section(heading, heading.start)
        path[-1].parts.append(section)
        path.append(section)
    for section in path:
        section.end = rows
    return top


def _all(top: _Section) -> Iterator[_Section]:
    stack = [top]
    while stack:
        section = stack.pop()
        yield section
        stack.extend(reversed(section.parts))


def _units(top: _Section, lines: Sequence[str], offsets: Sequence[int], whole: int, largest: int) -> Iterator[Unit]:
    stack: list[tuple[_Section, int, int]] = [(top, 0, 0)]
    groups = 0
    while stack:
        section, group, depth = stack.pop()
        if section.heading is not None and offsets[section.end] - offsets[section.start] <= whole:
            yield Unit(section.start, section.end, group, depth, leads=False)
            continue
        groups += 1
        first = section.start
        if section.heading is not None:
            first = section.heading.end
            yield Unit(section.start, first, groups, depth + 1, leads=True)
        last = section.parts[0].start if section.parts else section.end
        for start, end in _paragraphs(lines, first, last):
            if offsets[end] - offsets[start] <= largest:
                yield Unit(start, end, groups, depth + 1, leads=False)
            else:
                yield from (Unit(row, row + 1, groups, depth + 1, leads=False) for row in range(start, end))
        stack.extend((part, groups, depth + 1) for part in reversed(section.parts))


def _paragraphs(lines: Sequence[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    first = None
    for row in range(start, end):
        if lines[row].strip():
            first = row if first is None else first
        elif first is not None:
            yield first, row
            first = None
    if first is not None:
        yield first, end
