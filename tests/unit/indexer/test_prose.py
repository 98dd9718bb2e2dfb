from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.indexer.chunking import LARGEST, Piece, chunk
from bawn.indexer.prose import is_page_mark, page_mark

WORDS = "Some words that fill a line of a paragraph, so that there is something to cut.\n"


def _contexts(pieces: list[Piece]) -> list[str]:
    return [piece.context for piece in pieces]


def _covers(text: str, language: str) -> None:
    pieces = chunk(text, language)
    assert "\n".join(piece.text for piece in pieces) == text.removesuffix("\n")
    assert [piece.start_line for piece in pieces[1:]] == [piece.end_line + 1 for piece in pieces[:-1]]


def test_restructuredtext_is_cut_at_headings_whatever_marks_they_have() -> None:
    paragraph = WORDS * 15
    text = f"""\
====
Book
====

{paragraph}
.. _first-part:

First
-----

{paragraph}
Inner
~~~~~

{paragraph}
Second
------

{paragraph}"""
    pieces = chunk(text, "rst")
    assert _contexts(pieces) == ["Book", "Book.First", "Book.First.Inner", "Book.Second"]
    # The label by which others refer to a section is part of it.
    assert pieces[1].text.startswith(".. _first-part:\n\nFirst\n-----")


def test_what_looks_like_a_heading_of_restructuredtext_is_told_apart() -> None:
    text = dedent("""
        Title
        =====

        =====  =====
        A      B
        =====  =====
        1      2
        =====  =====

        A transition is no heading.

        ----

        .. code:: text

           Not this
           --------

        A sentence in a paragraph
        that goes on
        ------------
    """)
    assert _contexts(chunk(text + WORDS * 60, "rst"))[-1] == "Title"


def test_small_sections_share_a_chunk() -> None:
    text = "".join(f"Part {n}\n======\n\nA line.\n\n" for n in range(8))
    (piece,) = chunk(text, "rst")
    assert piece.context == ""


def test_every_part_of_a_page_names_it_and_no_chunk_is_of_two_pages() -> None:
    pages = [WORDS, WORDS * 60, "Two words.\n", ""]
    text = "".join(f"{page_mark(n)}\n{page}" for n, page in enumerate(pages, 1) if page)
    pieces = chunk(text, "pdf")
    assert len(pieces) > 4
    for piece in pieces:
        marks = [line for line in piece.text.split("\n") if is_page_mark(line)]
        assert marks in ([], [f"[{piece.context}]"])
    assert list(dict.fromkeys(_contexts(pieces))) == ["page 1", "page 2", "page 3"]
    assert pieces[-1].text == "[page 3]\nTwo words."


def test_marked_headings_count_outside_of_code_only() -> None:
    text = f"# Top\n\n{WORDS * 20}\n```\n# no heading\n```\n\n## Below\n\n{WORDS * 20}"
    assert _contexts(chunk(text, "page")) == ["Top", "Top.Below"]
    assert chunk(text, "docx") == chunk(text, "page")


def test_plain_text_is_cut_between_paragraphs() -> None:
    text = "\n".join(WORDS * 7 for _ in range(12))
    pieces = chunk(text, "text")
    assert len(pieces) > 3
    for piece in pieces:
        assert piece.text.strip("\n").count("\n") % 8 == 6  # whole paragraphs of seven lines and the lines between them
        assert len(piece.text) <= LARGEST


def test_a_paragraph_without_an_end_is_cut_at_lines() -> None:
    pieces = chunk(WORDS * 500, "text")
    assert len(pieces) > 10
    assert all(len(piece.text) <= LARGEST for piece in pieces)


@pytest.mark.parametrize("language", ["rst", "text", "pdf", "page", "docx"])
@given(text=st.text(alphabet=st.sampled_from("ab =-#`[]pge12.\n\n\n\f\r\u2028"), max_size=600))
def test_chunks_cover_whatever_the_text_is(text: str, language: str) -> None:
    _covers(text, language)


@pytest.mark.parametrize("language", ["rst", "page"])
def test_many_levels_and_many_headings_are_no_burden(language: str) -> None:
    marks = "=-~^\"'#*+.,:;!$%&_/<>?@"
    rst = "".join(f"Heading\n{mark * 7}\n\n" for mark in marks) * 300
    _covers(rst if language == "rst" else "".join(f"{'#' * (1 + n % 6)} H\n" for n in range(20_000)), language)
