"""One request's inputs on their way through the engine."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import numpy as np

from bawn.contracts.errors import RequestError
from bawn.model_server.embedding.runtime import Tokens
from bawn.model_server.embedding.vectors import Vectors


class EmbeddingJob:
    """Inputs in, vectors out. Make it on the event loop that waits for it; the engine thread fills it."""

    def __init__(self, inputs: Sequence[Tokens]) -> None:
        self._inputs = inputs
        self._vectors: list[Vectors | None] = [None] * len(inputs)
        self._taken = 0
        self._missing = len(inputs)
        self.tokens = sum(map(len, inputs))
        self.tokens_left = self.tokens
        """Of inputs that no batch has had yet."""
        self.cancelled = False
        self.submitted = monotonic()
        self.begun: float | None = None
        self._ended: asyncio.Future[RequestError | None] = asyncio.get_running_loop().create_future()

    @property
    def next_size(self) -> int | None:
        """Tokens of the next input; None: all have been taken."""
        return len(self._inputs[self._taken]) if self._taken < len(self._inputs) else None

    def take(self) -> tuple[int, Tokens]:
        """The next input, with its number."""
        if self.begun is None:
            self.begun = monotonic()
        number = self._taken
        self._taken += 1
        self.tokens_left -= len(self._inputs[number])
        return number, self._inputs[number]

    def put(self, number: int, vector: Vectors) -> bool:
        """Keep the vector of an input. True: it was the last."""
        self._vectors[number] = vector
        self._missing -= 1
        return self._missing == 0

    def end(self, error: RequestError | None = None) -> None:
        """Tell who waits. Call it on the event loop."""
        if not self._ended.done():
            self._ended.set_result(error)

    async def vectors(self) -> Vectors:
        """One row an input, in their order.

        Raises:
            RequestError: the engine could not finish.
        """
        error = await self._ended
        if error is not None:
            raise error
        return np.stack([vector for vector in self._vectors if vector is not None])
