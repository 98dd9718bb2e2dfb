"""What an index backend must do: give candidates and statistics to the ranking, and take documents from the indexer."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

import msgspec

from bawn.contracts.errors import Unavailable
from bawn.search.documents import IndexDocument


class NoIndex(Unavailable):
    """Nothing was indexed yet."""

    def __init__(self) -> None:
        super().__init__("There is no search index yet. Make one with `bawn index add PATH` and `bawn index run`.")


class Scope(msgspec.Struct, frozen=True):
    """Which part of the index a query may find."""

    repo: str | None = None
    path: str | None = None
    """A folder, a file, or a glob with `*`, `**` and `?`, relative to the repository's root."""
    language: str | None = None


class Statistics(msgspec.Struct, frozen=True):
    """Counts over the whole index, which BM25 weighs words by."""

    documents: int
    mean_lengths: dict[str, float]
    """Mean number of words in each field."""
    frequency: dict[str, int]
    """For each word of the query, in how many documents it is, more or less."""


class SearchBackend(Protocol):
    """An index opened for reading. Methods may be called from several threads."""

    def candidates(self, words: Sequence[str], scope: Scope) -> list[IndexDocument]:
        """Documents that may answer a query of `words`: the union of what all of them find and what each finds."""
        ...

    def statistics(self, words: Sequence[str]) -> Statistics:
        """Statistics for `words`."""
        ...

    def repos(self) -> list[str]:
        """Names of the repositories that have documents, sorted."""
        ...

    def languages(self) -> list[str]:
        """Languages that documents have, sorted."""
        ...

    def files(self, scope: Scope) -> list[tuple[str, str]]:
        """Repository and path of every file in `scope`, sorted."""
        ...

    def blobs(self, repo: str) -> dict[str, str]:
        """Blob hash of each file of a repository by its path."""
        ...

    def documents(self, files: Sequence[tuple[str, str]]) -> list[IndexDocument]:
        """All chunks of some files, given by repository and path, in no order."""
        ...

    def file(self, repo: str, path: str) -> list[IndexDocument]:
        """All chunks of one file in the order of its lines; empty where it is not in the index."""
        ...

    def count(self, repo: str) -> tuple[int, int]:
        """Files and chunks of a repository."""
        ...


class IndexPublisher(Protocol):
    """An index opened for writing. What is published is visible to readers after `commit`, and nothing of it before.

    Of one file readers see all or nothing; of all files at once, where the backend can do that (tantivy does).
    """

    def repos(self) -> list[str]:
        """Names of the repositories that have committed documents, sorted."""
        ...

    def files(self, repo: str) -> dict[str, str]:
        """Blob hash of each committed file by its path."""
        ...

    def replace(self, repo: str, path: str, old_blob: str | None, documents: Iterable[IndexDocument]) -> None:
        """Put `documents` in the place of the file's chunks; `old_blob` is what `files` says of it."""
        ...

    def remove(self, repo: str, path: str, old_blob: str) -> None:
        """Take a file out."""
        ...

    def commit(self) -> None:
        """Make everything since the last commit durable and visible."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Without an error, let merges finish; with one, drop what is not committed."""
        ...
