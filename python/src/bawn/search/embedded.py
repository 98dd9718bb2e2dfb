"""The embedded backend: a tantivy index in a directory, read by many processes and written by one."""

import os
import weakref
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

import msgspec
import tantivy

from bawn.contracts.errors import SettingsError
from bawn.search.backend import NoIndex, Scope, Statistics
from bawn.search.documents import FIELDS, FORMAT, IndexDocument, count_words
from bawn.search.globs import path_pattern

WHOLE_QUERY_LIMIT: Final = 120
SINGLE_WORD_LIMIT: Final = 25
"""Candidates for all words together, and for one alone: rare words of a long question must not drown."""
_ALONE: Final = 8
"""So many words, the rarest, are looked for alone, too: with all of them the best were the same for 500 questions."""

_WEIGHTS: Final = {"symbols": 3.0, "path": 1.5, "identifiers": 1.0, "text": 1.0}
_ELSEWHERE: Final = {"path": 0.3, "identifiers": 0.8, "text": 1.0}
"""Of the chunks that have a word in a field, those that have it in none of the next: what symbols have is in the text.
A regression over 3,500 words of twelve packages; the sum is 6 % off on average, the greatest field 16 %."""
_HEAP: Final = 48_000_000  # bytes; the indexer shares a small host with the gateway
_ENTRY_SEPARATOR: Final = "\0"  # in no path
_MAX_CHUNKS_OF_FILE: Final = 20_000

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(IndexDocument)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    # Repository, path and blob in one term: the term dictionary then is the list of what is indexed, and it can't
    # disagree with the documents, whenever the writer dies.
    builder.add_text_field("entry", tokenizer_name="raw", index_option="basic")
    for name in ("repo", "file", "language"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name="words", index_option="freq")
        builder.add_unsigned_field(f"{name}_length", fast=True)
    builder.add_bytes_field("document", stored=True)
    return builder.build()


def _register_tokenizer(index: tantivy.Index) -> tantivy.Index:
    index.register_tokenizer("words", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def _check_format(directory: Path) -> None:
    mend = "Build it anew with `bawn index run --rebuild`."
    try:
        found = msgspec.json.decode((directory / "format.json").read_bytes(), type=dict[str, int])["format"]
    except (OSError, msgspec.DecodeError, KeyError) as error:
        raise SettingsError(f"{directory}: is not a search index, or a damaged one. {mend}") from error
    if found != FORMAT:
        raise SettingsError(f"{directory}: is an index of format {found}; this version reads format {FORMAT}. {mend}")


def _entry(repo: str, path: str, blob: str) -> str:
    return _ENTRY_SEPARATOR.join((repo, path, blob))


class EmbeddedIndex:
    """A tantivy index opened for reading; it sees what another process commits."""

    def __init__(self, directory: Path) -> None:
        """Open the index in `directory`.

        Raises:
            NoIndex: there is none yet.
            SettingsError: the index is of another format; the message says how to mend it.
        """
        self._meta = directory / "meta.json"
        if not self._meta.exists():
            raise NoIndex
        _check_format(directory)
        # Kept open, so that its inode number can't become another folder's.
        self._folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, self._folder)
        self._schema = _schema()
        self._index = _register_tokenizer(tantivy.Index(self._schema, str(directory)))
        # Reloading at a changed file, not on a watcher's thread, makes a commit visible to the very next query.
        self._index.config_reader("manual")
        self._lock = Lock()
        self._stamp: tuple[int, int] | None = None
        self._searcher: tantivy.Searcher | None = None
        self._means: dict[str, float] = {}

    def is_at(self, directory: Path) -> bool:
        """Whether the folder that was opened is what has this name now."""
        return os.path.samestat(os.fstat(self._folder), directory.stat())

    def _current(self) -> tuple[tantivy.Searcher, dict[str, float]]:
        status = self._meta.stat()
        stamp = (status.st_ino, status.st_mtime_ns)
        with self._lock:
            if self._searcher is None or stamp != self._stamp:
                self._index.reload()
                self._searcher = self._index.searcher()
                request = {name: {"avg": {"field": f"{name}_length"}} for name in FIELDS}
                answer = self._searcher.aggregate(tantivy.Query.all_query(), request)
                self._means = {name: answer[name]["value"] or 0.0 for name in FIELDS}
                self._stamp = stamp
            return self._searcher, self._means

    def _term(self, field: str, value: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, field, value, "freq" if field in FIELDS else "basic")

    def _any(self, words: Sequence[str]) -> tantivy.Query:
        # Terms side by side, not in a query for each word: of such a union tantivy leaves out, unread, the documents
        # that can't come among the best.
        terms = [tantivy.Query.boost_query(self._term(f, word), _WEIGHTS[f]) for word in words for f in FIELDS]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])

    def _within(self, scope: Scope) -> list[tantivy.Query]:
        filters: list[tantivy.Query] = []
        if scope.repo is not None:
            filters.append(self._term("repo", scope.repo))
        if scope.language is not None:
            filters.append(self._term("language", scope.language))
        if scope.path is not None:
            filters.append(tantivy.Query.regex_query(self._schema, "file", path_pattern(scope.path)))
        return [tantivy.Query.const_score_query(query, 0.0) for query in filters]

    def candidates(self, words: Sequence[str], scope: Scope) -> list[IndexDocument]:
        """See `SearchBackend.candidates`."""
        searcher, _ = self._current()
        filters = [(tantivy.Occur.Must, query) for query in self._within(scope)]
        asked = list(dict.fromkeys(words))
        queries = [(self._any(asked), WHOLE_QUERY_LIMIT)]
        if len(asked) > 1:
            frequency = _frequencies(searcher, asked)
            rarest = sorted(asked, key=lambda word: frequency[word])[:_ALONE]
            queries += [(self._any([word]), SINGLE_WORD_LIMIT) for word in rarest]
        found: dict[tuple[int, int], tantivy.DocAddress] = {}
        for query, limit in queries:
            scoped = tantivy.Query.boolean_query([*filters, (tantivy.Occur.Must, query)]) if filters else query
            for _, address in searcher.search(scoped, limit, count=False).hits:
                found.setdefault((address.segment_ord, address.doc), address)
        return self._load_all(searcher, found.values())

    def _load_all(self, searcher: tantivy.Searcher, addresses: Iterable[tantivy.DocAddress]) -> list[IndexDocument]:
        # In the order in which they lie there, a compressed block is opened once.
        ordered = sorted(addresses, key=lambda one: (one.segment_ord, one.doc))
        return [self._load(searcher, address) for address in ordered]

    @staticmethod
    def _load(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> IndexDocument:
        return _decoder.decode(searcher.doc(address)["document"][0])

    def statistics(self, words: Sequence[str]) -> Statistics:
        """See `SearchBackend.statistics`. In how many chunks a word is, is reckoned from those of each field."""
        searcher, means = self._current()
        return Statistics(searcher.num_docs, means, _frequencies(searcher, words))

    def _terms(self, field: str, prefix: str, within: tantivy.Query | None = None) -> list[tuple[str, int]]:
        searcher, _ = self._current()
        # The filter leaves out terms that only deleted documents have.
        return searcher.terms_with_prefix(field, prefix, within or tantivy.Query.all_query())

    def repos(self) -> list[str]:
        """See `SearchBackend.repos`."""
        return [term for term, _ in self._terms("repo", "")]

    def languages(self) -> list[str]:
        """See `SearchBackend.languages`."""
        return [term for term, _ in self._terms("language", "")]

    def entries(self, repo: str) -> list[tuple[str, str, int]]:
        """Path, blob and number of chunks of each file of a repository."""
        found: list[tuple[str, str, int]] = []
        for term, chunks in self._terms("entry", repo + _ENTRY_SEPARATOR):
            _, path, blob = term.split(_ENTRY_SEPARATOR)
            found.append((path, blob, chunks))
        return found

    def files(self, scope: Scope) -> list[tuple[str, str]]:
        """See `SearchBackend.files`."""
        filters = [(tantivy.Occur.Must, query) for query in self._within(scope)]
        within = tantivy.Query.boolean_query(filters) if filters else None
        prefix = "" if scope.repo is None else scope.repo + _ENTRY_SEPARATOR
        entries = (term.split(_ENTRY_SEPARATOR) for term, _ in self._terms("entry", prefix, within))
        return sorted({(repo, path) for repo, path, _ in entries})

    def blobs(self, repo: str) -> dict[str, str]:
        """See `SearchBackend.blobs`."""
        return {path: blob for path, blob, _ in self.entries(repo)}

    def count(self, repo: str) -> tuple[int, int]:
        """See `SearchBackend.count`."""
        entries = self.entries(repo)
        return len(entries), sum(chunks for _, _, chunks in entries)

    def documents(self, files: Sequence[tuple[str, str]]) -> list[IndexDocument]:
        """See `SearchBackend.documents`."""
        searcher, _ = self._current()
        each = [
            tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, self._term("repo", repo)), (tantivy.Occur.Must, self._term("file", path))]
            )
            for repo, path in files
        ]
        if not each:
            return []
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, one) for one in each])
        hits = searcher.search(query, _MAX_CHUNKS_OF_FILE, count=False).hits
        return self._load_all(searcher, (address for _, address in hits))

    def file(self, repo: str, path: str) -> list[IndexDocument]:
        """See `SearchBackend.file`."""
        return sorted(self.documents([(repo, path)]), key=lambda d: d.start_line)


def _frequencies(searcher: tantivy.Searcher, words: Sequence[str]) -> dict[str, int]:
    frequency: dict[str, int] = {}
    for word in words:
        own = {field: searcher.doc_freq(field, word) for field in FIELDS}
        frequency[word] = max(*own.values(), round(sum(share * own[field] for field, share in _ELSEWHERE.items())))
    return frequency


class EmbeddedPublisher:
    """A tantivy index opened for writing; the caller holds the lock that keeps other writers out."""

    def __init__(self, directory: Path) -> None:
        """Open the index in `directory`, or make it.

        Raises:
            SettingsError: the index there is of another format, or another process writes to it.
        """
        if (directory / "meta.json").exists():
            _check_format(directory)
        else:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "format.json").write_bytes(msgspec.json.encode({"format": FORMAT}))
        index = _register_tokenizer(tantivy.Index(_schema(), str(directory)))
        try:
            self._writer = index.writer(_HEAP, 1)
        except ValueError as error:
            raise SettingsError(f"{directory}: another process writes to this index.") from error
        self._reader = EmbeddedIndex(directory)
        self._directory = directory

    def files(self, repo: str) -> dict[str, str]:
        """See `IndexPublisher.files`."""
        return self._reader.blobs(repo)

    def repos(self) -> list[str]:
        """Names of the repositories that have committed documents, sorted."""
        return self._reader.repos()

    def replace(self, repo: str, path: str, old_blob: str | None, documents: Iterable[IndexDocument]) -> None:
        """See `IndexPublisher.replace`."""
        if old_blob is not None:
            self.remove(repo, path, old_blob)
        with _writing(self._directory):
            for document in documents:
                self._writer.add_document(_to_tantivy(document))

    def remove(self, repo: str, path: str, old_blob: str) -> None:
        """See `IndexPublisher.remove`."""
        self._writer.delete_documents_by_term("entry", _entry(repo, path, old_blob))

    def commit(self) -> None:
        """See `IndexPublisher.commit`."""
        with _writing(self._directory):
            self._writer.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        with _writing(self._directory):
            if kind is not None:
                self._writer.rollback()
            self._writer.wait_merging_threads()


def _to_tantivy(document: IndexDocument) -> tantivy.Document:
    made = tantivy.Document()
    made.add_text("entry", _entry(document.repo, document.path, document.blob))
    made.add_text("repo", document.repo)
    made.add_text("file", document.path)
    made.add_text("language", document.language)
    for name in FIELDS:
        field: str = getattr(document.words, name)
        made.add_text(name, field)
        made.add_unsigned(f"{name}_length", count_words(field))
    made.add_bytes("document", _encoder.encode(document))
    return made


@contextmanager
def _writing(directory: Path) -> Generator[None]:
    """Say in one sentence what tantivy says of a write that failed."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise SettingsError(
            f"{directory}: the index can't be written. See that its disk is not full and run `bawn index run` again."
        ) from error
