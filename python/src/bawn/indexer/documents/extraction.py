"""What is asked about a document, and answered: the side of it that needs none of the libraries that read them."""

import re
from pathlib import PurePosixPath
from typing import Final

import msgspec

from bawn.indexer.contents import SkipReason

_FOLDERS: Final = frozenset({"apidocs", "doc", "docs", "documentation", "htmldoc", "javadoc", "manual"})
_GENERATOR: Final = re.compile(rb"<meta[^>]{1,80}\bgenerator\b", re.IGNORECASE)
_PAGE: Final = re.compile(rb"<!doctype html|<html[\s>]", re.IGNORECASE)
_BEGINNING: Final = 4_096


class Extraction(msgspec.Struct, frozen=True, array_like=True):
    """What a document gave."""

    text: str = ""
    language: str = ""
    """The language that the text is cut as."""
    skipped: SkipReason | None = None
    """Why it stays out; then there is no text."""


def is_document(path: str, language: str, content: bytes, *, to_read: bool = False) -> bool:
    """Whether the text of a file is to be extracted before it can be cut; `to_read`: the repository holds no source.

    A page is source to somebody who works on it: it is a document among documentation, or where a program made it.
    """
    if language in ("pdf", "docx"):
        return True
    if language != "html" or not _PAGE.search(content[:_BEGINNING]):
        return False
    folders = {folder.lower() for folder in PurePosixPath(path).parts[:-1]}
    return to_read or bool(folders & _FOLDERS) or _GENERATOR.search(content[:_BEGINNING]) is not None
