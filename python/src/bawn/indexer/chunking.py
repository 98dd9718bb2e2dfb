"""Cutting of a file into chunks along its syntax: definitions are units, small siblings merge, big nodes split.

The chunks of a file have no overlap and leave no line out, so that a file can be read out of the index.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import msgspec

from bawn.indexer.grammars import has_grammar
from bawn.indexer.syntax import Definition, Syntax, Unparsable, parse
from bawn.indexer.windows import guess_definitions, windows

LARGEST: Final = 2_000
"""Characters of a node that stays whole."""
MERGED: Final = 800
"""Characters up to which small definitions share a chunk."""
STATEMENTS: Final = 1_600
"""Characters up to which what defines nothing is added to a chunk."""
_HEADER: Final = 240  # characters of a class or function header that stays with the first of its body
_CRUMB: Final = 40  # characters: a closing brace goes with what it closes
_MAX_SYMBOLS: Final = 64
_PROSE: Final = frozenset({"text", "json", "yaml", "toml", "xml", "rst", "html", "css", "make", "dockerfile"})


class Piece(msgspec.Struct, frozen=True):
    """One chunk of a file. Lines are from 1, the last included."""

    start_line: int
    end_line: int
    context: str
    """Enclosing definitions or headings, outermost first, with dots."""
    symbols: list[str]
    text: str


def chunk(text: str, language: str, *, parsed: bool = True) -> list[Piece]:
    """Cut a file into its chunks; an empty file has one, so that it too can be found by its path.

    Without `parsed` it is cut into windows, also where its language has a grammar.
    """
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]
    syntax = _syntax(text, language, offsets) if parsed else None
    if syntax is not None:
        definitions, bounds = syntax.definitions, _merge(syntax, offsets)
    else:
        guessed = [] if language in _PROSE else guess_definitions(lines)
        definitions = [Definition(name, row, row, row + 1, "", defines=True) for row, name in guessed]
        bounds = [0, len(lines)]
    cuts = [rows for start, end in pairwise(bounds) for rows in _bounded(lines, start, end, offsets)]
    return _pieces(lines, cuts, definitions)


def _syntax(text: str, language: str, offsets: Sequence[int]) -> Syntax | None:
    if not has_grammar(language):
        return None
    try:
        return parse(text.encode(errors="replace"), language, offsets, LARGEST)
    except Unparsable:
        return None


def _merge(syntax: Syntax, offsets: Sequence[int]) -> list[int]:
    """Rows at which chunks begin, and the number of rows at the end."""
    rows = len(offsets) - 1
    naming = {definition.row for definition in syntax.definitions if definition.defines}
    bounds = [0]
    end, group, depth, leading = 0, -1, 0, True
    for unit in syntax.units:
        if unit.end <= end:
            group, depth = unit.group, unit.depth
            continue
        size = offsets[end] - offsets[bounds[-1]]
        own = offsets[unit.end] - offsets[unit.start]
        defines = any(row in naming for row in range(unit.start, unit.end))
        if unit.start < end or end == 0:
            joins = True  # a row can't be cut
        elif leading:
            joins = size + own <= LARGEST
        elif own <= _CRUMB and not unit.leads and not defines:
            joins = True
        elif unit.group != group:
            joins = unit.depth > depth and size <= _HEADER and size + own <= LARGEST
        else:
            # What leads belongs to the definition after it, unless nothing but comments is here.
            joins = size + own <= (MERGED if defines else STATEMENTS) and not (
                unit.leads and _is_code(bounds, naming, end)
            )
        if not joins:
            bounds.append(unit.start)
            leading = True
        leading = leading and unit.leads
        end, group, depth = unit.end, unit.group, unit.depth
    return [*bounds, rows]


def _is_code(bounds: list[int], naming: set[int], end: int) -> bool:
    return any(row in naming for row in range(bounds[-1], end))


def _bounded(lines: Sequence[str], start: int, end: int, offsets: Sequence[int]) -> list[tuple[int, int]]:
    """One chunk, or windows of it where a node is big and has no parts: a long string, a table."""
    if offsets[end] - offsets[start] <= 2 * LARGEST and end - start <= 4 * 60:
        return [(start, end)] if end > start else []
    return list(windows(lines, start, end))


def _pieces(lines: Sequence[str], cuts: Sequence[tuple[int, int]], definitions: Sequence[Definition]) -> list[Piece]:
    pieces: list[Piece] = []
    open_: list[Definition] = []
    position = 0
    for start, end in cuts:
        own: list[Definition] = []
        open_ = [definition for definition in open_ if definition.end > start]
        enclosing = [d for d in open_ if d.end >= end or d.end > start + 1]
        while position < len(definitions) and definitions[position].row < end:
            own.append(definitions[position])
            position += 1
        open_.extend(definition for definition in own if definition.end > end)
        # A method that is written outside of its type has its owner as context; several owners have none.
        owners = {definition.owner for definition in own if definition.owner}
        context = [d.name for d in enclosing] + (sorted(owners) if len(owners) == 1 else [])
        symbols = list(dict.fromkeys(d.name for d in own if d.defines))
        pieces.append(Piece(start + 1, end, ".".join(context), symbols[:_MAX_SYMBOLS], "\n".join(lines[start:end])))
    return pieces
