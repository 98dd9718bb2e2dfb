"""A client of `/v1/embeddings`, ours or anybody's: texts in, vectors out."""

import base64
import binascii
import weakref
from array import array
from collections.abc import Sequence
from typing import Final, TypeAlias

import httpx
import msgspec

from bawn.contracts.errors import (
    BY_STATUS,
    ContextLengthExceeded,
    InternalError,
    RequestError,
    Unavailable,
    UpstreamBroken,
    UpstreamTimeout,
)
from bawn.contracts.openai import EmbeddingList

Vector: TypeAlias = "array[float]"
"""32-bit floats."""

_MOST_BYTES: Final = 64 * 1024 * 1024
_ANSWER = msgspec.json.Decoder(EmbeddingList)


class _Told(msgspec.Struct, frozen=True):
    message: str = ""
    code: str | int | None = None
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class _Failure(msgspec.Struct, frozen=True):
    error: _Told = _Told()


_FAILURE = msgspec.json.Decoder(_Failure)


class EmbeddingClient:
    """Embeds with one model of one server. Tries once: who asks knows best how long a retry may wait.

    A synchronous client, as that of Meilisearch: searches and the indexer run in threads.
    """

    def __init__(self, client: httpx.Client, model: str) -> None:
        """`client` knows the server's base URL (without `/v1`), its token, and all four timeouts; it is closed with
        this."""
        self._client = client
        weakref.finalize(self, client.close)
        self.model = model

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text, in their order; at most as many texts as the server takes at once (ours: 2048).

        Raises:
            ContextLengthExceeded: a text is too long for the model.
            Overloaded: the server has too much to do; `retry_after` says when to come again.
            Unavailable: it can't be reached, or does not serve yet.
            RequestError: it refuses, or answers what can't be understood.
        """
        if not texts:
            return []
        body = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        try:
            with self._client.stream("POST", "/v1/embeddings", json=body) as answer:
                content = _content(answer)
        except httpx.ConnectError as error:
            raise Unavailable("The server for embeddings can't be reached.") from error
        except httpx.TimeoutException as error:
            raise UpstreamTimeout("The server for embeddings took too long.") from error
        except httpx.TransportError as error:
            raise UpstreamBroken("The server for embeddings broke off.") from error
        if answer.status_code != 200:
            raise _refusal(answer, content)
        return _vectors(content, len(texts))


def _content(answer: httpx.Response) -> bytes:
    content = bytearray()
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > _MOST_BYTES:
            raise UpstreamBroken("The server for embeddings answers without end.")
    return bytes(content)


def _refusal(answer: httpx.Response, content: bytes) -> RequestError:
    try:
        told = _FAILURE.decode(content).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = _Told()
    if told.code == ContextLengthExceeded.code:
        return ContextLengthExceeded(told.n_prompt_tokens, told.n_ctx)
    kind = BY_STATUS.get(answer.status_code, UpstreamBroken)
    message = told.message or f"The server for embeddings answers with status {answer.status_code}."
    if kind is InternalError:
        return InternalError(message)
    after = answer.headers.get("retry-after", "")
    return kind(message, retry_after=float(after) if after.isdigit() else None)


def _vectors(content: bytes, expected: int) -> list[Vector]:
    try:
        listed = sorted(_ANSWER.decode(content).data, key=lambda one: one.index)
        vectors = [_vector(one.embedding) for one in listed]
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise UpstreamBroken("The server for embeddings answers in no known form.") from error
    if [one.index for one in listed] != list(range(expected)) or len({len(vector) for vector in vectors}) != 1:
        raise UpstreamBroken("The server for embeddings answers with other vectors than were asked for.")
    return vectors


def _vector(told: list[float] | str) -> Vector:
    """A server may give numbers where base64 was asked for."""
    if isinstance(told, list):
        return array("f", told)
    vector = array("f")
    vector.frombytes(base64.b64decode(told, validate=True))
    return vector
