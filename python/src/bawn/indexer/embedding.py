"""Bringing the vectors of an index up to date with its chunks: in batches, and from where the last run has ended."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Final

import msgspec

from bawn.contracts.errors import ContextLengthExceeded, Overloaded, RequestError, SettingsError
from bawn.contracts.search import INDEXES, Index
from bawn.indexer.lock import writer_lock
from bawn.search.backend import NoIndex, SearchBackend
from bawn.search.documents import IndexDocument
from bawn.search.opening import IndexPlace
from bawn.search.placement import embedding_settings
from bawn.search.vectors.client import EmbeddingClient, Vector
from bawn.search.vectors.nearness import embedding_client
from bawn.search.vectors.settings import EmbeddingSettings
from bawn.search.vectors.stored import VectorWriter, key_of, text_of, vectors_file

_TEXTS: Final = 32
"""Of one request: some seconds on a CPU."""
_FILES: Final = 8
"""Whose chunks are read at once."""
_COMMIT_S: Final = 5.0
_ANSWER_S: Final = 120.0
_PATIENCE_S: Final = 600.0
"""So long a server may say that it has too much to do: answers to people come first there."""
_PAUSE_S: Final = 5.0
_LEAST_CHARACTERS: Final = 32


class EmbeddingProgress(msgspec.Struct):
    """How far the vectors of one index are; changed in place."""

    index: Index
    chunks: int = 0
    """That have a vector."""
    embedded: int = 0
    """Texts that were embedded in this run."""
    files: int = 0
    """Whose vectors are up to date."""
    files_left: int = 0
    """Whose vectors are not."""
    seconds: float = 0.0
    stopped: str = ""
    """Why the run ended before its end; the next one goes on from there."""

    @property
    def rate(self) -> float:
        """Texts a second."""
        return self.embedded / self.seconds if self.seconds else 0.0


Report = Callable[[EmbeddingProgress], None]


def embed_all(index_dir: Path, report: Report = lambda _: None) -> list[EmbeddingProgress]:
    """Bring the vectors of all indexes of `index_dir` up to date; `report` is called after every request.

    A server that can't be reached ends the run of an index, and is no error: search does without vectors meanwhile.

    Raises:
        SettingsError: no embedding model is named, another process embeds, or a file can't be written.
        RequestError: a server refuses, or the server that has the index can't be reached.
    """
    settings = embedding_settings(index_dir)
    if settings is None:
        raise SettingsError(
            f"{index_dir}: no embedding model is named: do so with `bawn index embedding use --url … --model …`."
        )
    (index_dir / "vectors").mkdir(parents=True, exist_ok=True)
    made: list[EmbeddingProgress] = []
    with writer_lock(index_dir / "vectors"):
        for index in INDEXES:
            place = IndexPlace(index_dir, index)
            if place.exists():
                try:
                    backend = place.backend()
                except NoIndex:
                    continue
                made.append(_embed(index_dir, index, backend, settings, report))
    return made


def _embed(
    index_dir: Path, index: Index, backend: SearchBackend, settings: EmbeddingSettings, report: Report
) -> EmbeddingProgress:
    progress = EmbeddingProgress(index)
    servers = _Servers([embedding_client(settings, one, answer_s=_ANSWER_S) for one in settings.servers])
    with VectorWriter(vectors_file(index_dir, index), settings.model) as writer:
        run = _Run(backend, writer, servers, progress, report)
        try:
            run.over_all()
        except _Unreachable as error:
            progress.stopped = str(error)
        writer.commit()
        progress.chunks = writer.count()
    return progress


class _Unreachable(Exception):
    """No server embeds now; the text says why."""


class _Run:
    """A run over one index."""

    def __init__(
        self,
        backend: SearchBackend,
        writer: VectorWriter,
        servers: "_Servers",
        progress: EmbeddingProgress,
        report: Report,
    ) -> None:
        self._backend = backend
        self._writer = writer
        self._servers = servers
        self._progress = progress
        self._report = report
        self._started = self._committed = time.monotonic()

    def over_all(self) -> None:
        """Take out what the index has no more, and embed what is new.

        Raises:
            _Unreachable: no server embeds.
        """
        indexed = {repo: self._backend.blobs(repo) for repo in self._backend.repos()}
        removed = 0
        for repo in self._writer.repos():
            for path in self._writer.files(repo).keys() - indexed.get(repo, {}).keys():
                self._writer.remove(repo, path)
                removed += 1
        changed: list[tuple[str, str]] = []
        for repo, blobs in indexed.items():
            known = self._writer.files(repo)
            changed += [(repo, path) for path, blob in sorted(blobs.items()) if known.get(path) != blob]
        self._progress.files = sum(map(len, indexed.values())) - len(changed)
        self._progress.files_left = len(changed)
        for at in range(0, len(changed), _FILES):
            self._over(changed[at : at + _FILES])
        if changed or removed:
            self._writer.prune()

    def _over(self, files: Sequence[tuple[str, str]]) -> None:
        documents = sorted(self._backend.documents(files), key=lambda one: (one.repo, one.path, one.start_line))
        texts = {key_of(text): text for text in map(text_of, documents)}
        missing = self._writer.missing(list(texts))
        wanted = [(key, text) for key, text in texts.items() if key in missing]
        for at in range(0, len(wanted), _TEXTS):
            some = wanted[at : at + _TEXTS]
            vectors = self._servers.embed([text for _, text in some])
            made = [(key, vector) for (key, _), vector in zip(some, vectors, strict=True) if vector is not None]
            self._writer.add(made)
            self._progress.embedded += len(some)
            self._tell()
        for (repo, path), chunks in groupby(documents, key=lambda one: (one.repo, one.path)):
            listed: list[IndexDocument] = list(chunks)
            self._writer.finish(repo, path, listed[0].blob, [key_of(text_of(one)) for one in listed])
        self._progress.files += len(files)
        self._progress.files_left -= len(files)
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._committed > _COMMIT_S:
            self._writer.commit()
            self._committed = now
        self._progress.seconds = now - self._started
        self._report(self._progress)


def beginning(text: str, tokens: int, most: int) -> str:
    """The beginning of a text of `tokens`, of which a model takes `most`: it says most of what a chunk is.

    Half of it, where a server doesn't tell the counts. It may still be too long, and is shorter than the text.
    """
    share = 0.95 * min(1.0, most / tokens) if most > 0 and tokens > 0 else 0.5
    return text[: int(share * len(text))]


class _Servers:
    """Asks the first server that can be reached, and waits where all have too much to do."""

    def __init__(self, clients: Sequence[EmbeddingClient]) -> None:
        self._clients = clients

    def embed(self, texts: Sequence[str]) -> "list[Vector | None]":
        """A vector a text; None for one of which not even the beginning fits.

        Raises:
            _Unreachable: no server answers, or all have been overloaded for `_PATIENCE_S`.
            RequestError: a server refuses.
        """
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return list(self._ask(texts))
            except Overloaded as error:
                pause = min(error.retry_after or _PAUSE_S, 60.0)
                if time.monotonic() + pause > until:
                    raise _Unreachable(error.message) from error
                Event().wait(pause)

    def _ask(self, texts: Sequence[str]) -> "Iterator[Vector | None]":
        try:
            yield from self._of_any(texts)
        except ContextLengthExceeded as error:
            if len(texts) > 1:
                middle = len(texts) // 2
                yield from self._ask(texts[:middle])
                yield from self._ask(texts[middle:])
            elif len(texts[0]) > _LEAST_CHARACTERS:
                yield from self._ask([beginning(texts[0], error.prompt_tokens, error.context_tokens)])
            else:
                yield None

    def _of_any(self, texts: Sequence[str]) -> list[Vector]:
        last: RequestError | None = None
        for client in self._clients:
            try:
                return client.embed(texts)
            except RequestError as error:
                if error.status < 500 and not isinstance(error, Overloaded):
                    raise
                # An overloaded one will take it, one that is away may not.
                last = last if isinstance(last, Overloaded) else error
        if isinstance(last, Overloaded):
            raise last
        raise _Unreachable(last.message if last else "no server is named")
