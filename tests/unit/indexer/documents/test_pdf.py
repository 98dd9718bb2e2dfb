import pytest

from bawn.indexer.documents.extracting import extract
from bawn.indexer.documents.pdf import MAX_PAGES, pdf_text
from bawn.indexer.documents.text import LeftOut
from support.documents import encrypted_pdf, pdf


def test_every_page_with_text_begins_with_its_number() -> None:
    text = pdf_text(pdf(["First page\nits second line", "", "Third (of three)"]))
    assert text.split("\n") == ["[page 1]", "First page", "its second line", "[page 3]", "Third (of three)", ""]


def test_text_that_looks_like_the_mark_of_a_page_is_told_apart() -> None:
    assert pdf_text(pdf(["One\n[page 9]\nmore"])).split("\n") == ["[page 1]", "One", " [page 9]", "more", ""]


def test_letters_outside_of_ascii_are_read() -> None:
    assert "größer" in pdf_text(pdf(["gr\xf6\xdfer"]).replace(b"/Helvetica", b"/Helvetica/Encoding/WinAnsiEncoding"))


def test_an_encrypted_pdf_is_left_out() -> None:
    with pytest.raises(LeftOut, match="encrypted"):
        pdf_text(encrypted_pdf())


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7\n", b"%PDF-1.4\n%garbage" * 100, b"plain words", bytes(range(256)) * 9]
)
def test_what_is_no_pdf_is_left_out(content: bytes) -> None:
    with pytest.raises(LeftOut, match="damaged"):
        pdf_text(content)


def test_a_pdf_that_ends_too_soon_is_read_as_far_as_it_goes_or_left_out() -> None:
    whole = pdf(["words of a page"] * 6)
    for size in range(0, len(whole), 97):
        extraction = extract(whole[:size], "pdf")
        assert extraction is not None
        assert extraction.skipped in ("damaged", "no_text") or "words of a page" in extraction.text


def test_one_damaged_page_does_not_take_the_others_along() -> None:
    content = pdf(["one", "two", "three"]).replace(b"6 0 obj<</Type/Page", b"6 0 obj<</Tape/Pag_")
    text = pdf_text(content)
    assert "one" in text
    assert "three" in text


def test_a_pdf_of_very_many_pages_is_left_out() -> None:
    with pytest.raises(LeftOut, match="too_large"):
        pdf_text(pdf([""] * (MAX_PAGES + 1)))


def test_a_pdf_of_pictures_has_no_text() -> None:
    extraction = extract(pdf(["", ""]), "pdf")
    assert extraction is not None
    assert (extraction.skipped, extraction.text) == ("no_text", "")
