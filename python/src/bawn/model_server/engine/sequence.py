"""One generation inside the engine: its tokens, its sampler, what it may still do."""

from collections.abc import Callable
from time import monotonic
from typing import Any, Literal

import msgspec

from bawn.contracts.errors import RequestError
from bawn.model_server.engine.sampling import Sampler, Sampling
from bawn.model_server.engine.text import TextStream
from bawn.model_server.engine.vocabulary import Vocabulary

FinishReason = Literal["stop", "length"]


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is asked for."""

    tokens: list[int]
    """The prompt; at least one token."""
    max_tokens: int | None = None
    """None: until the context is full."""
    stops: tuple[str, ...] = ()
    sampling: Sampling = Sampling()


class Output(msgspec.Struct, frozen=True):
    """What one step brought to one generation; `finish` or `error` ends it."""

    text: str = ""
    finish: FinishReason | None = None
    error: RequestError | None = None


class Progress(msgspec.Struct):
    """Counts and times of one generation, written by the engine thread. Times are `time.monotonic()` seconds."""

    prompt_tokens: int
    submitted: float
    cached_tokens: int = 0
    """Prompt tokens that were not fed again."""
    generated_tokens: int = 0
    admitted: float | None = None
    first_token: float | None = None


class Sequence:
    """Owned by the engine thread, except for `cancelled` and `progress`, which others may set and read."""

    def __init__(self, request: GenerationRequest, deliver: Callable[[Output], None]) -> None:
        self.request = request
        self.deliver = deliver
        """Called on the event loop."""
        self.tokens = list(request.tokens)
        """Prompt and what was generated."""
        self.progress = Progress(prompt_tokens=len(request.tokens), submitted=monotonic())
        self.cancelled = False
        self._text = TextStream(request.stops)
        self._sampler: Sampler | None = None

    def begin(self, cached_tokens: int, vocabulary: Vocabulary) -> None:
        """A slot was found. Keeps its counts and sampler when it is begun again after a preemption."""
        if self._sampler is None:
            self.progress.admitted = monotonic()
            self.progress.cached_tokens = cached_tokens
            self._sampler = Sampler(self.request.sampling, vocabulary, self.request.tokens)

    def sample(self, context: Any, index: int, vocabulary: Vocabulary, n_ctx: int) -> Output:
        """Choose the next token from the logits of the batch's token `index`."""
        assert self._sampler is not None  # noqa: S101 - only sequences that have begun are in a batch
        token = self._sampler.sample(context, index)
        progress = self.progress
        if progress.first_token is None:
            progress.first_token = monotonic()
        if token in vocabulary.end_tokens:
            return Output(self._text.end(), "stop")
        self.tokens.append(token)
        progress.generated_tokens += 1
        text = self._text.push(vocabulary.piece(token))
        if self._text.stopped:
            return Output(text, "stop")
        if progress.generated_tokens == self.request.max_tokens or len(self.tokens) >= n_ctx:
            return Output(text + self._text.end(), "length")
        return Output(text)

    def close(self) -> None:
        """Free the sampler."""
        if self._sampler is not None:
            self._sampler.close()
