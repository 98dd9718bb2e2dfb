"""Cutting of a file into chunks along its syntax: definitions are units, small siblings merge, big nodes split.

The chunks of a file have no overlap and leave no line out, so that a file can be read out of the index.
"""

from collections import deque
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import msgspec

from bawn.indexer.blocks import blocks, has_blocks
from bawn.indexer.grammars import has_grammar
from bawn.indexer.prose import is_prose, outline
from bawn.indexer.syntax import Definition, Reference, Syntax, Unparsable, parse
from bawn.indexer.windows import guess_definitions, windows

LARGEST: Final = 2_000
"""Characters of a node that stays whole."""
MERGED: Final = 800
"""Characters up to which small definitions share a chunk."""
STATEMENTS: Final = 1_600
"""Characters up to which what defines nothing is added to a chunk."""
_HEADER: Final = 240  # characters of a class or function header that stays with the first of its body
_CRUMB: Final = 40  # characters: a closing brace goes with what it closes
_ABOVE: Final = 3  # rows: of a comment or a blank line, between what encloses and what it encloses
_MAX_SYMBOLS: Final = 64
_MAX_REFERENCES: Final = 48
_UNNAMED: Final = frozenset({"css", "json", "markdown", "toml", "yaml"})
"""Languages in which nothing that looks like a definition is one."""


class Piece(msgspec.Struct, frozen=True):
    """One chunk of a file. Lines are from 1, the last included."""

    start_line: int
    end_line: int
    context: str
    """Enclosing definitions or headings, outermost first, with dots."""
    symbols: list[str]
    references: list[str]
    """Names that it uses and does not define, in the order of their first use."""
    text: str


def chunk(text: str, language: str, *, parsed: bool = True) -> list[Piece]:
    """Cut a file into its chunks; an empty file has one, so that it too can be found by its path.

    Without `parsed` it is cut into windows, also where its language has a grammar.
    """
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]
    syntax = _syntax(text, lines, language, offsets, parsed=parsed)
    cuts = [rows for start, end in pairwise(_merge(syntax, offsets)) for rows in _bounded(lines, start, end, offsets)]
    return _pieces(lines, cuts, syntax)


def _syntax(text: str, lines: Sequence[str], language: str, offsets: Sequence[int], *, parsed: bool) -> Syntax:
    if is_prose(language):
        return outline(lines, language, offsets, LARGEST)
    if has_blocks(language):
        return blocks(text, lines, language, offsets, LARGEST)
    try:
        if not (parsed and has_grammar(language)):
            raise Unparsable
        syntax = parse(text.encode(errors="replace"), language, offsets, LARGEST)
    except Unparsable:
        return Syntax(_guessed(lines, language), [], [], [])
    # Where the grammar is at a loss, a guess is better than nothing.
    unread = {row for start, end in syntax.unread for row in range(start, end)}
    unread.difference_update(definition.row for definition in syntax.definitions)
    found = [definition for definition in _guessed(lines, language) if definition.row in unread] if unread else []
    if not found:
        return syntax
    definitions = sorted([*syntax.definitions, *found], key=lambda definition: definition.row)
    return msgspec.structs.replace(syntax, definitions=definitions)


def _guessed(lines: Sequence[str], language: str) -> list[Definition]:
    named = [] if language in _UNNAMED else guess_definitions(lines, language)
    return [Definition(name, row, row, row + 1, "", defines=True) for row, name in named]


def _merge(syntax: Syntax, offsets: Sequence[int]) -> list[int]:
    """Rows at which chunks begin, and the number of rows at the end."""
    rows = len(offsets) - 1
    naming = {definition.row for definition in syntax.definitions if definition.defines}
    opening = {definition.row for definition in syntax.definitions}
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
        elif own <= _CRUMB and not unit.leads and opening.isdisjoint(range(unit.start, unit.end)):
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


def _pieces(lines: Sequence[str], cuts: Sequence[tuple[int, int]], syntax: Syntax) -> list[Piece]:
    pieces: list[Piece] = []
    open_: list[Definition] = []
    definitions, references = deque(syntax.definitions), deque(syntax.references)
    for start, end in cuts:
        own: list[Definition] = []
        open_ = [definition for definition in open_ if definition.end > start]
        enclosing = [d for d in open_ if d.end >= end or d.end > start + 1]
        while definitions and definitions[0].row < end:
            own.append(definitions.popleft())
        open_.extend(definition for definition in own if definition.end > end)
        # A method that is written outside of its type has its owner as context; several owners have none.
        owners = {definition.owner for definition in own if definition.owner}
        context = (
            [d.name for d in enclosing] + _scopes(own, lines, start, end) + (sorted(owners) if len(owners) == 1 else [])
        )
        symbols = list(dict.fromkeys(d.name for d in own if d.defines))
        used = _uses(references, end, symbols)
        text = "\n".join(lines[start:end])
        pieces.append(Piece(start + 1, end, ".".join(context), symbols[:_MAX_SYMBOLS], used, text))
    return pieces


def _scopes(own: Sequence[Definition], lines: Sequence[str], start: int, end: int) -> list[str]:
    """What the whole chunk is within though it begins in it: it has no symbol that says so."""
    while end and not lines[end - 1].strip():
        end -= 1
    names: list[str] = []
    for definition in own:
        if definition.defines or definition.start > start + _ABOVE or definition.end < end:
            break
        names.append(definition.name)
        start = definition.row
    return names


def _uses(references: deque[Reference], end: int, symbols: Sequence[str]) -> list[str]:
    """Take what is used before row `end` off `references`."""
    used: dict[str, None] = {}
    while references and references[0].row < end:
        used[references.popleft().name] = None
    defined = set(symbols)
    return [name for name in used if name not in defined][:_MAX_REFERENCES]
