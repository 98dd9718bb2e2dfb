import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bawn.contracts.search import (
    INDEXES,
    Chunk,
    FileSlice,
    IndexContent,
    IndexedRepo,
    IndexListing,
    Line,
    Matches,
    Outline,
    SearchResult,
    SymbolResult,
)
from bawn.search.budget import cut_chunks, cut_listing, cut_matches, cut_outline, cut_slice, cut_symbol
from bawn.search.rendering import (
    CHARACTERS_PER_TOKEN,
    render_chunks,
    render_listing,
    render_matches,
    render_outline,
    render_slice,
    render_symbol,
)

NUMBERED = "\n".join(f"line {n:04}" for n in range(1, 501))


def _size(result: Any, render: Callable[[Any], str]) -> int:
    return max(len(render(result)), len(msgspec.json.encode(result).decode()))


def _check(cut: Any, frame: Any, render: Callable[[Any], str], budget: int) -> None:
    """Both forms keep within the budget, but for the `frame` in which nothing is left."""
    room = budget * CHARACTERS_PER_TOKEN
    assert _size(cut, render) <= room or cut == frame


def _chunk(text: str, line: int = 1, symbols: list[str] | None = None) -> Chunk:
    return Chunk(
        repo="r", path="a.py", start_line=line, end_line=line + text.count("\n"), language="python", text=text,
        score=0.5, symbols=["f"] if symbols is None else symbols, commit="c0ffee",
    )  # fmt: skip


BUDGETS = st.integers(0, 1500)
WORDS = st.text(max_size=20)
LINE_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=300)
TEXTS = st.text(max_size=1500) | st.lists(LINE_TEXTS, max_size=60).map("\n".join)
CHUNKS = st.lists(
    st.builds(_chunk, TEXTS, st.integers(1, 99_999), st.lists(WORDS, max_size=30)),
    max_size=6,
)
LINES = st.lists(st.builds(Line, WORDS, WORDS, st.integers(1, 99_999), LINE_TEXTS), max_size=40)


def _check_chunks(kept: list[Chunk], found: list[Chunk]) -> None:
    """The first ones, of which the last may be cut at the end of a line."""
    whole = [chunk for chunk in kept if not chunk.cut]
    assert whole == found[: len(whole)]
    assert len(kept) - len(whole) <= 1
    if len(kept) > len(whole):
        part, full = kept[-1], found[len(whole)]
        text = part.text.removesuffix("\n…")
        assert text != part.text
        assert full.text.startswith(text)
        # Only where not one line fits is a line cut.
        assert full.text[len(text)] == "\n" or not text.rpartition("\n")[0].strip()
        assert part.start_line == full.start_line
        assert part.end_line == full.start_line + text.count("\n") <= full.end_line


@given(CHUNKS, st.text(max_size=200), BUDGETS)
def test_chunks_keep_within_the_budget(chunks: list[Chunk], note: str, budget: int) -> None:
    cut = cut_chunks(SearchResult(chunks, note), budget)
    _check(cut, SearchResult([], more=len(chunks)), render_chunks, budget)
    _check_chunks(cut.chunks, chunks)
    assert cut.more == len(chunks) - len(cut.chunks)
    assert cut.note in (note, "")


@given(CHUNKS, LINES, BUDGETS)
def test_definitions_and_uses_keep_within_the_budget(chunks: list[Chunk], lines: list[Line], budget: int) -> None:
    cut = cut_symbol(SymbolResult(chunks, lines), budget)
    frame = SymbolResult([], [], more_definitions=len(chunks), more_references=len(lines))
    _check(cut, frame, render_symbol, budget)
    _check_chunks(cut.definitions, chunks)
    assert cut.references == lines[: len(cut.references)]
    assert cut.more_definitions == len(chunks) - len(cut.definitions)
    assert cut.more_references == len(lines) - len(cut.references)


@given(LINES, st.integers(0, 99_999), st.integers(0, 99_999), BUDGETS)
def test_matches_keep_within_the_budget(lines: list[Line], searched: int, left: int, budget: int) -> None:
    found = Matches(lines, searched, searched + left)
    cut = cut_matches(found, budget)
    _check(cut, replace(found, lines=[], more=len(lines)), render_matches, budget)
    assert cut.lines == lines[: len(cut.lines)]
    assert cut.more == len(lines) - len(cut.lines)


@given(WORDS, TEXTS, st.integers(1, 99_999), st.integers(0, 99_999), BUDGETS)
def test_a_slice_keeps_within_the_budget(path: str, text: str, first: int, after: int, budget: int) -> None:
    lines = text.split("\n")
    last = first + len(lines) - 1
    found = FileSlice("r", path, first, last, last + after, text)
    cut = cut_slice(found, budget)
    frame = replace(found, end_line=first, text="…" if lines[0] else "", cut=bool(lines[0]))
    _check(cut, frame, render_slice, budget)
    kept = cut.text.split("\n")
    assert cut.end_line == first + len(kept) - 1
    if cut.cut:
        assert len(kept) == 1
        assert cut.text.endswith("…")
        assert lines[0].startswith(cut.text[:-1])
    else:
        assert kept == lines[: len(kept)]


@given(st.lists(st.lists(LINE_TEXTS, max_size=6), max_size=30), st.integers(0, 99), BUDGETS)
def test_a_map_keeps_within_the_budget(files: list[list[str]], left: int, budget: int) -> None:
    sections = [
        f"src/{at:02}.py\n" + "".join(f"  {line}: {text}\n" for line, text in enumerate(lines, 1))
        for at, lines in enumerate(files)
    ]
    found = Outline("r", "".join(sections), len(sections), len(sections) + left)
    cut = cut_outline(found, budget)
    _check(cut, replace(found, text="", shown_files=0), render_outline, budget)
    assert cut.text == "".join(sections[: cut.shown_files])
    assert cut.files == found.files


REPOS = st.lists(st.builds(IndexedRepo, WORDS, st.integers(0, 10**6), st.integers(0, 10**7)), max_size=30)
CONTENTS = st.builds(IndexContent, st.sampled_from(INDEXES), REPOS, st.lists(WORDS, max_size=5))


@given(st.lists(CONTENTS, max_size=3), BUDGETS)
def test_a_listing_keeps_within_the_budget(contents: list[IndexContent], budget: int) -> None:
    cut = cut_listing(IndexListing(contents), budget)
    frame = IndexListing([replace(one, repos=[], more=len(one.repos)) for one in contents])
    _check(cut, frame, render_listing, budget)
    for kept, found in zip(cut.indexes, contents, strict=True):
        assert kept.repos == found.repos[: len(kept.repos)]
        assert kept.more == len(found.repos) - len(kept.repos)
        assert (kept.index, kept.languages) == (found.index, found.languages)


@pytest.mark.parametrize(
    ("found", "cut"),
    [
        (SearchResult([_chunk(NUMBERED)] * 3, note="By words alone."), cut_chunks),
        (SymbolResult([_chunk(NUMBERED)] * 3, [Line("r", "b.py", 7, "f()")] * 50), cut_symbol),
        (Matches([Line("r", "b.py", 7, "f()")] * 50, 9, 10), cut_matches),
        (FileSlice("r", "a.py", 1, 500, 500, NUMBERED), cut_slice),
        (Outline("r", "a.py\n  1: def f(): ...\n" * 50, 50, 60), cut_outline),
        (IndexListing([IndexContent("code", [IndexedRepo("r", 1, 1)] * 50, ["go"])]), cut_listing),
    ],
)
def test_what_fits_stays_as_it_is(found: Any, cut: Callable[[Any, int], Any]) -> None:
    assert cut(found, 10_000) == found


def test_the_last_chunk_is_cut_at_a_line_and_marked() -> None:
    cut = cut_chunks(SearchResult([_chunk("x = 1"), _chunk(NUMBERED, 40), _chunk("y = 2")]), 200)
    whole, part = cut.chunks
    assert whole == _chunk("x = 1")
    assert part.cut
    assert re.fullmatch(r"(line \d{4}\n)+…", part.text)
    assert part.end_line == 40 + part.text.count("\n") - 1
    assert cut.more == 1
    assert len(msgspec.json.encode(cut)) > 750
    assert render_chunks(cut).endswith("\n…\n\n… 1 more\n")


def test_too_little_of_a_chunk_is_left_out() -> None:
    cut = cut_chunks(SearchResult([_chunk("x = 1"), _chunk(NUMBERED)]), 90)
    assert (cut.chunks, cut.more) == ([_chunk("x = 1")], 1)


def test_names_that_are_not_shown_take_no_room_of_a_chunk_that_is_cut() -> None:
    cut = cut_chunks(SearchResult([_chunk(NUMBERED, symbols=[f"name_{n}" for n in range(500)])]), 200)
    assert cut.chunks[0].symbols == [f"name_{n}" for n in range(6)]


def test_uses_have_a_third_beside_definitions_and_more_where_those_are_small() -> None:
    lines = [Line("r", "b.py", n, "call_it(now)") for n in range(1, 100)]
    beside = cut_symbol(SymbolResult([_chunk(NUMBERED)], lines), 600)
    assert 600 < len(msgspec.json.encode(beside.references)) <= 800
    assert beside.definitions[0].cut
    small = cut_symbol(SymbolResult([_chunk("x = 1")], lines), 600)
    assert small.definitions == [_chunk("x = 1")]
    assert len(msgspec.json.encode(small.references)) > 2000


def test_a_slice_says_where_it_stops_and_is_read_on_from_there() -> None:
    lines = NUMBERED.split("\n")
    read: list[str] = []
    while len(read) < 500:
        rest = FileSlice("r", "a.py", len(read) + 1, 500, 500, "\n".join(lines[len(read) :]))
        cut = cut_slice(rest, 300)
        read += cut.text.split("\n")
        assert (cut.end_line, cut.total_lines, cut.cut) == (len(read), 500, False)
    assert read == lines


def test_a_line_that_does_not_fit_is_cut_and_marked() -> None:
    cut = cut_slice(FileSlice("r", "a.js", 3, 4, 9, "x" * 10_000 + "\ny"), 100)
    assert (cut.start_line, cut.end_line, cut.cut) == (3, 3, True)
    assert re.fullmatch(r"x{280,}…", cut.text)


def test_a_listing_shows_as_many_repositories_of_each_index() -> None:
    many = [IndexedRepo(f"library-{n}", 1, 1) for n in range(500)]
    few = [IndexedRepo("app", 1, 1)]
    cut = cut_listing(IndexListing([IndexContent("libraries", many, []), IndexContent("code", few, [])]), 300)
    libraries, code = cut.indexes
    assert 10 < len(libraries.repos) == 500 - libraries.more
    assert (code.repos, code.more) == (few, 0)
