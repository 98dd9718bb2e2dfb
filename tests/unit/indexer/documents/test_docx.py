import io
import zipfile

import pytest

from bawn.indexer.documents.docx import docx_text
from bawn.indexer.documents.text import LeftOut
from support.documents import WORD, docx, docx_bomb, paragraph

# As a German Word writes them: the ids are translated, the names are not.
STYLES = (
    '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Eigener"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
    '<w:style w:styleId="Text"><w:name w:val="Body Text"/></w:style>'
)


def test_headings_lists_and_tables_keep_their_form() -> None:
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("Sku", "In stock"))
    text = docx_text(
        docx(
            paragraph("Orders", "berschrift1")
            + paragraph("How they are kept.", "Text")
            + paragraph("Deep", "Eigener")
            + paragraph("first", properties="<w:numPr/>")
            + paragraph("second", properties="<w:numPr/>")
            + paragraph("Stock", "berschrift2")
            + f"<w:tbl><w:tr>{cells}</w:tr><w:tr>{cells}</w:tr></w:tbl>"
            + paragraph("The end."),
            STYLES,
        )
    )
    assert text.split("\n") == [
        "# Orders", "", "How they are kept.", "", "### Deep", "- first", "- second", "", "## Stock",
        "Sku | In stock", "Sku | In stock", "", "The end.", "",
    ]  # fmt: skip


def test_a_long_paragraph_becomes_lines_and_breaks_are_kept() -> None:
    body = f"<w:p><w:r><w:t>{'word ' * 60}</w:t><w:br/><w:t>after</w:t><w:tab/><w:t>it</w:t></w:r></w:p>"
    lines = docx_text(docx(body)).split("\n")
    assert max(map(len, lines)) <= 100
    assert lines[-2:] == ["after it", ""]
    assert " ".join(lines).split().count("word") == 60


def test_what_looks_like_a_heading_and_is_none_is_marked() -> None:
    assert docx_text(docx(paragraph("# just a comment"))) == "\\# just a comment\n"


def test_deleted_text_and_repetitions_for_old_programs_are_left_out() -> None:
    compatible = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = f"<w:txbxContent>{paragraph('in the box')}</w:txbxContent>"
    body = (
        f'<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><m:AlternateContent xmlns:m="{compatible}">'
        f"<m:Choice>{box}</m:Choice><m:Fallback>{box}</m:Fallback></m:AlternateContent><w:r><w:t>kept</w:t></w:r></w:p>"
    )
    text = docx_text(docx(body))
    assert text.count("in the box") == 1
    assert "kept" in text
    assert "gone" not in text


def test_a_document_of_the_strict_standard_is_read() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx(paragraph("strictly")))) as old, zipfile.ZipFile(made, "w") as new:
        content = old.read("word/document.xml").decode()
        new.writestr("word/document.xml", content.replace(WORD, "http://purl.oclc.org/ooxml/wordprocessingml/main"))
    assert docx_text(made.getvalue()) == "strictly\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"PK\3\4" + b"x" * 500, "damaged"),
        (docx("<w:p>"), "damaged"),
        (docx("", prologue='<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'), "damaged"),
        (docx("", prologue='<!DOCTYPE x SYSTEM "file:///etc/passwd">'), "damaged"),
        (docx(f"{'<w:r>' * 100_000}{'</w:r>' * 100_000}"), "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        (docx_bomb(100_000_000), "too_large"),
        (docx(f"<w:p>{' ' * 51_000_000}</w:p>"), "too_large"),
    ],
    ids=["empty", "no-archive", "no-xml", "entities", "outside", "deep", "password", "bomb", "spaces"],
)
def test_what_is_no_document_of_word_is_left_out(content: bytes, reason: str) -> None:
    with pytest.raises(LeftOut, match=reason):
        docx_text(content)


def test_an_archive_without_a_document_is_left_out() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("other.xml", "<x/>")
    with pytest.raises(LeftOut, match="damaged"):
        docx_text(made.getvalue())
