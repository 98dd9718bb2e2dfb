"""The index document: one chunk of a file, and the words under which it is found."""

from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final, Literal

import msgspec

from bawn.search.identifiers import tokens, words

FORMAT: Final = 2
"""Version of everything that decides what is in an index: document, words, chunks. Another version can't be read."""

FIELDS: Final = ("symbols", "path", "identifiers", "text")
"""The searchable fields, each a list of words."""

Kind = Literal["source", "test", "docs", "vendored", "generated"]
"""What sort of file a chunk is from; everything but `source` ranks lower."""

_SEPARATOR: Final = "  "
_MAX_TOKENIZED: Final = 20_000  # characters of one chunk: a single line may be a megabyte of data


class Words(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Folded words of each field, every word between two spaces, so that a backend's whitespace tokenizer reads them
    and `str.count` counts them."""

    symbols: str
    path: str
    identifiers: str
    text: str


class IndexDocument(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """One chunk. The chunks of a file have no overlap and leave no line out."""

    repo: str
    branch: str
    path: str
    """Relative to the repository's root, with `/`."""
    blob: str
    """Hash of the whole file, as git computes it for a blob; behind it what the repository declares of the file's
    kind, if anything (`+vendored`), so that it changes with that."""
    commit: str
    """Commit that was checked out when the file was indexed; empty without git."""
    kind: Kind
    language: str
    start_line: int
    end_line: int
    context: str
    """Enclosing class, function or headings, outermost first; empty at the top of a file."""
    symbols: list[str]
    """Names that the chunk defines."""
    text: str
    words: Words
    references: list[str] = []
    """Names that the chunk uses and does not define, where its grammar tells: calls, and types."""


def join_words(items: list[str]) -> str:
    """`items` in the form of `Words`."""
    return f" {_SEPARATOR.join(items)} " if items else ""


def count_words(field: str) -> int:
    """Number of words in a field of `Words`."""
    return field.count(_SEPARATOR) + 1 if field else 0


def field_words(path: str, context: str, symbols: list[str], text: str) -> Words:
    """The words under which a chunk is found; `context` counts as identifiers that the text does not repeat."""
    found = tokens(text[:_MAX_TOKENIZED])
    return Words(
        symbols=join_words([word for symbol in symbols for word in words(symbol)]),
        path=_path_words(path),
        identifiers=join_words([*words(context[:_MAX_TOKENIZED]), *(part for _, parts in found for part in parts)]),
        text=join_words([whole for whole, _ in found]),
    )


@lru_cache(maxsize=16)
def _path_words(path: str) -> str:
    # The stem counts twice: `retry.py` is more about retries than `retry/x.py`.
    return join_words(words(path) + words(PurePosixPath(path).name.partition(".")[0]))
