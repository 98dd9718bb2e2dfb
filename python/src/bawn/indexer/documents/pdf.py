"""Text of a PDF, page by page."""

from collections.abc import Iterator
from typing import Final

import pypdfium2
from pypdfium2 import raw

from bawn.indexer.documents.text import LeftOut, Text
from bawn.indexer.prose import is_page_mark, page_mark

MAX_PAGES: Final = 5_000
_HYPHENS: Final = ("\ufffe\n", "\x02\n")
"""How PDFium writes a word that goes on in the next line."""


def pdf_text(content: bytes) -> str:
    """The text of a PDF; each page that has some begins with its mark.

    Raises:
        LeftOut: it is encrypted, damaged, or has more pages or text than a document has.
    """
    text = Text()
    for number, page in enumerate(_pages(content), 1):
        if not page.strip():
            continue
        text.line(page_mark(number))
        for line in page.split("\n"):
            text.line(f" {line}" if is_page_mark(line) else line)
    return text.joined()


def _pages(content: bytes) -> Iterator[str]:
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise LeftOut("encrypted" if error.err_code == raw.FPDF_ERR_PASSWORD else "damaged") from error
    try:
        if len(document) > MAX_PAGES:
            raise LeftOut("too_large")
        for index in range(len(document)):
            yield _page(document, index)
    finally:
        document.close()


def _page(document: pypdfium2.PdfDocument, index: int) -> str:
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return ""  # one damaged page is no reason to do without the others
    try:
        text_page = page.get_textpage()
        try:
            text = text_page.get_text_range().replace("\r\n", "\n").replace("\r", "\n")
        finally:
            text_page.close()
    except pypdfium2.PdfiumError:
        return ""
    finally:
        page.close()
    for mark in _HYPHENS:
        text = text.replace(mark, "")
    return text
