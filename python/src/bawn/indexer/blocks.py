"""The structure of languages with braces that no grammar is here for: Protocol Buffers, and some more."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bawn.indexer.syntax import Definition, Syntax, Unit
from bawn.indexer.windows import guess_definitions

_LANGUAGES: Final = frozenset({"dart", "graphql", "groovy", "protobuf", "scss", "zig"})
# Braces in comments and strings are none. A string ends with its line at the latest: an apostrophe may be one in prose.
_TOKEN: Final = re.compile(
    r"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\[^\n]|[^"\\\n])*"?|'(?:\\[^\n]|[^'\\\n])*'?|[{}]""", re.DOTALL
)
_COMMENTS: Final = ("//", "/*", "*", "#")
_HEADER: Final = 3
"""Rows after its name in which the brace of a definition may open."""


class _Block(msgspec.Struct):
    start: int
    end: int = 0
    """Row after it."""
    parts: list["_Block"] = []


def has_blocks(language: str) -> bool:
    """Whether `blocks` knows files of this language."""
    return language in _LANGUAGES


def blocks(text: str, lines: Sequence[str], language: str, offsets: Sequence[int], largest: int) -> Syntax:
    """The blocks of a file; one of more than `largest` characters is taken apart."""
    top = _tree(text, offsets)
    opened = {block.start: block.end for block in reversed(list(_all(top)))}
    named = guess_definitions(lines, language)
    following = [row for row, _ in named[1:]] + [len(lines)]
    definitions: list[Definition] = []
    for (row, name), after in zip(named, following, strict=False):
        brace = next((at for at in range(row, min(row + _HEADER, max(after, row + 1))) if at in opened), row)
        definitions.append(Definition(name, row, row, opened.get(brace, row + 1), "", defines=True))
    return Syntax(definitions, [], list(_units(top, lines, offsets, largest)), [])


def _tree(text: str, offsets: Sequence[int]) -> _Block:
    rows = len(offsets) - 1
    top = _Block(0, rows)
    path = [top]
    for match in _TOKEN.finditer(text):
        if match.group() == "{":
            block = _Block(bisect_right(offsets, match.start()) - 1)
            path[-1].parts.append(block)
            path.append(block)
        elif match.group() == "}" and len(path) > 1:
            path.pop().end = bisect_right(offsets, match.start())
    for block in path:
        block.end = rows
    return top


def _all(top: _Block) -> Iterator[_Block]:
    stack = [top]
    while stack:
        block = stack.pop()
        if block is not top:
            yield block
        stack.extend(reversed(block.parts))


def _units(top: _Block, lines: Sequence[str], offsets: Sequence[int], largest: int) -> Iterator[Unit]:
    def rows(start: int, end: int, group: int, depth: int) -> Iterator[Unit]:
        for row in range(start, end):
            if line := lines[row].lstrip():
                yield Unit(row, row + 1, group, depth, line.startswith(_COMMENTS))

    groups = 1
    # What is left to do: rows without a block, or a block.
    stack: list[tuple[_Block | None, int, int, int, int]] = [(top, 0, top.end, 0, 0)]
    while stack:
        block, start, end, group, depth = stack.pop()
        if block is None:
            yield from rows(start, end, group, depth)
        elif block is not top and offsets[end] - offsets[start] <= largest:
            yield Unit(start, end, group, depth, leads=False)
        else:
            body = groups = groups + 1
            todo: list[tuple[_Block | None, int, int, int, int]] = []
            first, last = start, end
            if block is not top:
                first, last = min(start + 1, end), max(start + 1, end - 1)
                todo.append((None, start, first, -body, depth + 1))
            for part in block.parts:
                if part.start < first:
                    continue  # it begins in a row that is taken
                todo.append((None, first, part.start, body, depth + 2))
                todo.append((part, part.start, min(part.end, last), body, depth + 2))
                first = max(first, min(part.end, last))
            todo.append((None, first, last, body, depth + 2))
            if last < end:
                todo.append((None, last, end, -body, depth + 1))
            stack.extend(reversed(todo))
