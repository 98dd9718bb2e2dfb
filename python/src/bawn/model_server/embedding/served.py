"""The embedding model as it is served: a request's body in, inputs for the engine and an answer out."""

import base64
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bawn.contracts.errors import ContextLengthExceeded, InternalError, InvalidRequest, ModelNotFound
from bawn.contracts.openai import Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage, ModelCard
from bawn.model_server.embedding.runtime import EmbeddingRuntime, Tokens
from bawn.model_server.embedding.vectors import Vectors, shortened
from bawn.service.http import decode_request

MOST_INPUTS: Final = 2048
"""Of one request, as at OpenAI."""

_decoder = msgspec.json.Decoder(EmbeddingRequest)


class EmbeddingWork(NamedTuple):
    """A request that can be run."""

    inputs: list[Tokens]
    width: int
    """Numbers of a vector that are asked for."""
    as_base64: bool

    @property
    def tokens(self) -> int:
        """Of all inputs together."""
        return sum(map(len, self.inputs))


class ServedEmbedder:
    """What the HTTP side needs of the loaded model. Its methods take no lock and may run in any thread."""

    def __init__(self, runtime: EmbeddingRuntime, name: str, *, generating: str = "") -> None:
        """`generating` names the model beside it that generates text, where there is one."""
        self._runtime = runtime
        self._generating = generating
        self.name = name
        self.card = ModelCard(id=name, context_length=runtime.n_ctx, embedding_length=runtime.width)

    def read(self, body: bytes) -> EmbeddingWork:
        """Read an embeddings request.

        Raises:
            InvalidRequest, ModelNotFound, ContextLengthExceeded: it can't be run.
        """
        wire = decode_request(body, _decoder)
        if wire.model != self.name:
            if self._generating and wire.model == self._generating:
                raise InvalidRequest(
                    f"The model `{wire.model}` generates text. For embeddings ask for `{self.name}`.", param="model"
                )
            raise ModelNotFound(wire.model, [self.name])
        most = self._runtime.width
        width = most if wire.dimensions is None else wire.dimensions
        if not 1 <= width <= most:
            raise InvalidRequest(f"This model's vectors have {most} dimensions, or any fewer.", param="dimensions")
        inputs = [self._tokens(number, one) for number, one in enumerate(_listed(wire.input))]
        return EmbeddingWork(inputs, width, wire.encoding_format == "base64")

    def _tokens(self, number: int, wire: str | Sequence[int]) -> Tokens:
        if isinstance(wire, str):
            tokens = self._runtime.tokens(wire) if wire else array("i")
        elif all(0 <= token < self._runtime.vocabulary_size for token in wire):
            tokens = array("i", wire)
        else:
            raise InvalidRequest(f"Token ids go from 0 to {self._runtime.vocabulary_size - 1}.", param="input")
        if not tokens:
            raise InvalidRequest(f"Input {number} is empty.", param="input")
        if len(tokens) > self._runtime.n_ctx:
            raise ContextLengthExceeded(len(tokens), self._runtime.n_ctx, of_input=number)
        return tokens

    def answer(self, work: EmbeddingWork, vectors: Vectors) -> bytes:
        """The answer's body; `vectors` has one row an input.

        Raises:
            InternalError: the model has computed what is no number.
        """
        if not np.isfinite(vectors).all():
            raise InternalError
        rows = shortened(vectors, work.width)
        told = [
            Embedding(index=number, embedding=_base64(row) if work.as_base64 else row.tolist())
            for number, row in enumerate(rows)
        ]
        usage = EmbeddingUsage(prompt_tokens=work.tokens, total_tokens=work.tokens)
        return msgspec.json.encode(EmbeddingList(data=told, model=self.name, usage=usage))


def _base64(row: Vectors) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _listed(wire: str | list[str | int | list[int]]) -> Sequence[str | Sequence[int]]:
    """The inputs: one text, texts, the token ids of one input, or of several."""
    if isinstance(wire, str):
        return [wire]
    if not wire:
        raise InvalidRequest("`input` is empty.", param="input")
    texts = [one for one in wire if isinstance(one, str)]
    ids = [one for one in wire if isinstance(one, int)]
    lists = [one for one in wire if isinstance(one, list)]
    if len(ids) == len(wire):
        return [ids]
    if len(wire) not in (len(texts), len(lists)):
        raise InvalidRequest("`input` is a text, texts, token ids, or lists of token ids.", param="input")
    if len(wire) > MOST_INPUTS:
        raise InvalidRequest(f"A request has at most {MOST_INPUTS} inputs, and this has {len(wire)}.", param="input")
    return texts or lists
