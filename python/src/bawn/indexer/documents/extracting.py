"""Extraction of text, by the sort of document."""

from bawn.indexer.documents.docx import docx_text
from bawn.indexer.documents.extraction import Extraction
from bawn.indexer.documents.page import page_text
from bawn.indexer.documents.pdf import pdf_text
from bawn.indexer.documents.text import LeftOut


def extract(content: bytes, language: str) -> Extraction | None:
    """The text of a document; None for a page that is source after all."""
    try:
        if language == "pdf":
            text = pdf_text(content)
        elif language == "docx":
            text = docx_text(content)
        else:
            page = page_text(content)
            if page is None:
                return None
            text, language = page, "page"
    except LeftOut as error:
        return Extraction(skipped=error.reason)
    except MemoryError:
        return Extraction(skipped="too_large")
    return Extraction(text, language) if text.strip() else Extraction(skipped="no_text")
