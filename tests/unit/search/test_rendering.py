import pytest

from bawn.contracts.search import (
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
from bawn.search.rendering import (
    NOTHING_FOUND,
    render_chunks,
    render_listing,
    render_matches,
    render_outline,
    render_slice,
    render_symbol,
)

LINE = Line("r", "b.py", 7, "    f()")


def _chunk(text: str, line: int = 1) -> Chunk:
    return Chunk(
        repo="r", path="a.py", start_line=line, end_line=line + text.count("\n"), language="python", text=text,
        symbols=["f"],
    )  # fmt: skip


def test_each_chunk_has_a_header_with_its_place() -> None:
    text = render_chunks(SearchResult([_chunk("def f(): ..."), _chunk("x = 1", 40)]))
    assert text == "r a.py:1-1  (f)\ndef f(): ...\n\nr a.py:40-40  (f)\nx = 1\n"


def test_a_note_stands_above_the_chunks_and_what_was_left_out_below() -> None:
    text = render_chunks(SearchResult([_chunk("x = 1")], note="By words alone.", more=3))
    assert text == "By words alone.\n\nr a.py:1-1  (f)\nx = 1\n\n… 3 more\n"


def test_uses_stand_below_the_definitions() -> None:
    text = render_symbol(SymbolResult([_chunk("def f(): ...")], [LINE], more_references=1200))
    assert text == "r a.py:1-1  (f)\ndef f(): ...\n\nUsed in:\nr b.py:7: f()\n… 1,200 more\n"


def test_a_name_that_is_only_used_has_its_uses_alone() -> None:
    assert render_symbol(SymbolResult([], [LINE])) == "r b.py:7: f()\n"


def test_matches_say_how_many_were_left_out_and_how_many_files_were_not_searched() -> None:
    text = render_matches(Matches([LINE], searched_files=8, files=10, more=2))
    assert text.startswith("r b.py:7: f()\n… 2 more\n2 of 10 files were not searched:")


def test_a_slice_has_its_place_among_all_lines() -> None:
    assert render_slice(FileSlice("r", "a.py", 2, 3, 9, "x\ny")) == "r a.py:2-3 of 9\nx\ny"


def test_repositories_that_were_left_out_are_counted_in_each_index() -> None:
    repos = [IndexedRepo("one", 1200, 3)]
    listing = IndexListing([IndexContent("code", repos, ["go"], more=4), IndexContent("libraries", repos, [], more=9)])
    text = "code (go)\n  one: 1,200 files, 3 chunks\n  … 4 more\nlibraries\n  one, … 9 more\n"
    assert render_listing(listing) == text


@pytest.mark.parametrize(
    "text",
    [
        render_chunks(SearchResult([], note="By words alone.")),
        render_symbol(SymbolResult([], [])),
        render_matches(Matches([], 3, 3)),
        render_outline(Outline("r", "", 0, 0)),
        render_listing(IndexListing([])),
    ],
)
def test_nothing_found_is_said(text: str) -> None:
    assert text.strip() == NOTHING_FOUND


@pytest.mark.parametrize(
    "text",
    [
        render_chunks(SearchResult([], more=2)),
        render_symbol(SymbolResult([], [], more_definitions=2)),
        render_symbol(SymbolResult([], [], more_references=2)),
        render_matches(Matches([], 3, 3, more=2)),
        render_outline(Outline("r", "", 0, 2)),
    ],
)
def test_nothing_found_is_not_said_where_all_of_it_was_left_out(text: str) -> None:
    assert NOTHING_FOUND not in text
    assert "2" in text
