from hypothesis import given
from hypothesis import strategies as st

from bawn.contracts.search import Chunk, SearchResult
from bawn.search.rendering import CHARACTERS_PER_TOKEN, NOTHING_FOUND, render_chunks


def _chunk(text: str, line: int = 1) -> Chunk:
    return Chunk(
        repo="r", path="a.py", start_line=line, end_line=line + text.count("\n"), language="python", text=text,
        symbols=["f"],
    )  # fmt: skip


def test_each_chunk_has_a_header_with_its_place() -> None:
    text = render_chunks(SearchResult([_chunk("def f(): ..."), _chunk("x = 1", 40)]), 1000)
    assert "a.py:1-1  (f)\ndef f(): ...\n" in text
    assert "a.py:40-40" in text


def test_nothing_found_is_said() -> None:
    assert render_chunks(SearchResult([]), 100) == NOTHING_FOUND


def test_the_last_chunk_is_cut_at_a_line_and_marked() -> None:
    text = render_chunks(SearchResult([_chunk("\n".join(f"line {n:04}" for n in range(500)))]), 100)
    assert text.endswith("\n…\n")
    assert all(line.startswith(("r a.py", "line ", "…")) for line in text.splitlines())


@given(st.lists(st.text(max_size=3000).map(_chunk), max_size=6), st.integers(0, 1500))
def test_the_budget_is_never_exceeded(chunks: list[Chunk], budget: int) -> None:
    text = render_chunks(SearchResult(chunks), budget)
    assert len(text) <= max(budget * CHARACTERS_PER_TOKEN, len(NOTHING_FOUND))
