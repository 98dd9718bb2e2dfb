"""The text of a file as it goes into the index: decoded, or taken out of a document, and without its secrets."""

from typing import Final

import msgspec

from bawn.indexer.contents import SkipReason, decode, skip_by_content
from bawn.indexer.cutting import Cutter
from bawn.indexer.documents.extraction import is_document
from bawn.indexer.languages import language_of
from bawn.indexer.secrets.files import holds_private_key
from bawn.indexer.secrets.masking import Finding, mask
from bawn.indexer.sources import SourceFile

FAILURES: Final = (OSError, ValueError, RecursionError, MemoryError)
"""What the reading of a file may raise; none of it stops a run."""


class Text(msgspec.Struct, frozen=True):
    """What is indexed of a file."""

    text: str
    language: str
    """Of the file."""
    cut_as: str
    """Language of the text, which is another one where it was taken out of a document."""
    is_extracted: bool
    findings: list[Finding]
    """What was masked."""


def read_text(file: SourceFile, content: bytes, cutter: Cutter, *, to_read: bool) -> Text | SkipReason:
    """The text of `file`, or why it stays out; `to_read`: its repository holds no source.

    Raises:
        ValueError, RecursionError, MemoryError: it can't be read as what it is.
    """
    language = language_of(file.path, content[:200].partition(b"\n")[0].decode(errors="replace"))
    cut_as, text = file.extracted or language, None
    if file.extracted is not None:
        text = decode(content)
    elif is_document(file.path, language, content, to_read=to_read):
        document = cutter.extract(content, language)
        if document is not None and document.skipped is not None:
            return document.skipped
        if document is not None:
            text, cut_as = document.text, document.language
    is_extracted = text is not None
    if text is None:
        if reason := skip_by_content(content, language):
            return reason
        text = decode(content)
    if holds_private_key(file.path, text):
        return "key_file"
    text, findings = mask(text, file.path)
    return Text(text, language, cut_as, is_extracted, findings)


def reason_of(failure: Exception) -> SkipReason:
    """Why a file stays out that one of `FAILURES` was raised of."""
    if isinstance(failure, FileNotFoundError):
        return "vanished"
    return "unreadable" if isinstance(failure, OSError) else "failed"
