"""Results cut to a budget of tokens, so that a result keeps within it both as text and as JSON.

What is left of a result where nothing fits is a frame that may be larger than a tiny budget: places, counts and the
count of what was left out. Items keep their order, and those that fit first are kept.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from bawn.contracts.search import (
    Chunk,
    FileSlice,
    IndexListing,
    Line,
    Matches,
    Outline,
    SearchResult,
    SymbolResult,
)
from bawn.search.rendering import (
    CHARACTERS_PER_TOKEN,
    CUT,
    SHOWN_SYMBOLS,
    render_chunks,
    render_listing,
    render_matches,
    render_outline,
    render_slice,
    render_symbol,
)

_LEAST: Final = 160  # characters: less of a chunk says nothing
_FILE_OF_MAP: Final = re.compile(r"^(?=\S)", re.MULTILINE)

R = TypeVar("R", bound=msgspec.Struct)


def cut_chunks(result: SearchResult, budget_tokens: int) -> SearchResult:
    """The best chunks; the last one that fits in part is cut at a line, and a note that doesn't fit is left out."""
    fits = _within(render_chunks, budget_tokens)

    def of(chunks: list[Chunk], note: str) -> SearchResult:
        return replace(result, chunks=chunks, note=note, more=len(result.chunks) - len(chunks))

    note = result.note if fits(of([], result.note)) else ""
    return of(_leading(result.chunks, lambda chunks: fits(of(chunks, note))), note)


def cut_symbol(result: SymbolResult, budget_tokens: int) -> SymbolResult:
    """The first definitions and uses; beside definitions, uses have a third of the budget at least."""
    fits = _within(render_symbol, budget_tokens)
    fits_third = _within(render_symbol, budget_tokens // 3)

    def of(definitions: list[Chunk], references: list[Line]) -> SymbolResult:
        return SymbolResult(
            definitions,
            references,
            more_definitions=len(result.definitions) - len(definitions),
            more_references=len(result.references) - len(references),
        )

    def uses(definitions: list[Chunk], fits: Callable[[SymbolResult], bool]) -> list[Line]:
        lines = result.references
        return lines[: _most(len(lines), lambda count: fits(of(definitions, lines[:count])))]

    kept = uses([], fits_third)
    definitions = _leading(result.definitions, lambda chunks: fits(of(chunks, kept)))
    return of(definitions, uses(definitions, fits))


def cut_matches(result: Matches, budget_tokens: int) -> Matches:
    """The first lines."""
    fits = _within(render_matches, budget_tokens)

    def of(count: int) -> Matches:
        return replace(result, lines=result.lines[:count], more=len(result.lines) - count)

    return of(_most(len(result.lines), lambda count: fits(of(count))))


def cut_slice(result: FileSlice, budget_tokens: int) -> FileSlice:
    """The first lines, or where not one fits, the start of the first."""
    fits = _within(render_slice, budget_tokens)
    lines = result.text.split("\n")

    def of(count: int) -> FileSlice:
        return replace(result, text="\n".join(lines[:count]), end_line=result.start_line + count - 1)

    def of_line(characters: int) -> FileSlice:
        return replace(result, text=lines[0][:characters] + CUT, end_line=result.start_line, cut=True)

    if fits(result):
        return result
    whole = _most(len(lines), lambda count: fits(of(count)))
    if whole or not lines[0]:
        return of(max(whole, 1))
    return of_line(_most(len(lines[0]) - 1, lambda characters: fits(of_line(characters))))


def cut_outline(result: Outline, budget_tokens: int) -> Outline:
    """The first files by path: its text was made for the budget, and what stands around it takes little."""
    fits = _within(render_outline, budget_tokens)
    files = _FILE_OF_MAP.split(result.text)[1:]

    def of(count: int) -> Outline:
        return replace(result, text="".join(files[:count]), shown_files=count)

    return result if fits(result) else of(_most(len(files), lambda count: fits(of(count))))


def cut_listing(result: IndexListing, budget_tokens: int) -> IndexListing:
    """The first repositories of each index, as many of each where it has so many."""
    fits = _within(render_listing, budget_tokens)

    def of(count: int) -> IndexListing:
        return IndexListing(
            [replace(one, repos=one.repos[:count], more=max(0, len(one.repos) - count)) for one in result.indexes]
        )

    largest = max((len(one.repos) for one in result.indexes), default=0)
    return of(_most(largest, lambda count: fits(of(count))))


def _within(render: Callable[[R], str], tokens: int) -> Callable[[R], bool]:
    """Whether a result keeps within `tokens` in both of its forms."""
    room = tokens * CHARACTERS_PER_TOKEN
    return lambda result: len(msgspec.json.encode(result).decode()) <= room and len(render(result)) <= room


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `count` that fits, where all below one that fits do too; 0 where none does."""
    return bisect_right(range(1, count + 1), False, key=lambda number: not fits(number))


def _leading(chunks: list[Chunk], fits: Callable[[list[Chunk]], bool]) -> list[Chunk]:
    whole = chunks[: _most(len(chunks), lambda count: fits(chunks[:count]))]
    if len(whole) == len(chunks):
        return whole
    part = _part(chunks[len(whole)], lambda part: fits([*whole, part]))
    return whole if part is None else [*whole, part]


def _part(chunk: Chunk, fits: Callable[[Chunk], bool]) -> Chunk | None:
    """The whole lines of the chunk that fit with a mark after them, or None where that is too little."""
    room = _most(len(chunk.text), lambda characters: fits(_shortened(chunk, chunk.text[:characters])))
    if room < _LEAST:
        return None
    kept = chunk.text[:room]
    lines, _, _ = kept.rpartition("\n")
    return _shortened(chunk, lines if lines.strip() else kept)


def _shortened(chunk: Chunk, text: str) -> Chunk:
    end_line = min(chunk.end_line, chunk.start_line + text.count("\n"))
    symbols = chunk.symbols[:SHOWN_SYMBOLS]
    return replace(chunk, text=f"{text}\n{CUT}", end_line=end_line, symbols=symbols, cut=True)
