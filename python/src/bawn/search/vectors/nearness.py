"""How near in meaning the chunks are that the words of a question have found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import Index
from bawn.search.documents import IndexDocument
from bawn.search.vectors.client import EmbeddingClient
from bawn.search.vectors.questions import Pending, QuestionVectors
from bawn.search.vectors.settings import EmbeddingServer, EmbeddingSettings
from bawn.search.vectors.stored import VectorReader, key_of, similarity, text_of, vectors_file
from bawn.service.settings import read_secret

_ANSWER_S: Final = 2.0
"""A question waits an eighth of it; what comes later is kept for the next who asks the same."""


class AskedNearness:
    """The nearness of one question, whose vector is under way."""

    def __init__(self, pending: Pending, reader: VectorReader) -> None:
        self._pending = pending
        self._reader = reader
        self.lacking = ""
        """Why `of` knew nothing of some documents; empty where nothing was amiss."""

    def of(self, documents: Sequence[IndexDocument]) -> list[float | None]:
        """How near the question is to each of `documents`, as a cosine; None where there is no vector."""
        question = self._pending.get()
        if isinstance(question, str):
            self.lacking = f"Ranked by words alone: {question[:1].lower()}{question[1:].rstrip('.')}."
            return [None] * len(documents)
        keys = [key_of(text_of(document)) for document in documents]
        width = len(question.numbers)
        # Of another width are those of a model that had this name before.
        vectors = {key: one for key, one in self._reader.find(set(keys)).items() if len(one.numbers) == width}
        found = [similarity(question, vectors[key]) if key in vectors else None for key in keys]
        unknown = found.count(None)
        if unknown:
            self.lacking = f"Ranked by words where there is no vector yet: {unknown} of {len(found)} chunks."
        return found


class Embedder:
    """The embedding model of an index directory, and the vectors that it has made of one of its indexes."""

    def __init__(self, index_dir: Path, index: Index, settings: EmbeddingSettings) -> None:
        """
        Raises:
            SettingsError: a token can't be read.
        """
        clients = [embedding_client(settings, one, answer_s=_ANSWER_S) for one in settings.servers]
        self._questions = QuestionVectors(clients)
        self._reader = VectorReader(vectors_file(index_dir, index), settings.model)
        self.settings = settings

    def begin(self, question: str) -> AskedNearness:
        """Start to embed a question."""
        return AskedNearness(self._questions.begin(question), self._reader)


def embedding_client(settings: EmbeddingSettings, server: EmbeddingServer, *, answer_s: float) -> EmbeddingClient:
    """A client of one of the servers, which may take `answer_s` to answer.

    Raises:
        SettingsError: the token can't be read.
    """
    token = server.token_file
    headers = {} if token is None else {"authorization": f"Bearer {read_secret(Path(token))}"}
    timeout = httpx.Timeout(answer_s, connect=2.0)
    try:
        client = httpx.Client(base_url=server.url.rstrip("/"), headers=headers, timeout=timeout, trust_env=False)
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise SettingsError(f"{server.url}: the server for embeddings can't be asked: {error}.") from error
    return EmbeddingClient(client, settings.model)
