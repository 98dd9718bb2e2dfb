"""One generation inside the engine: its tokens, its sampler, what it may still do."""

from collections.abc import Callable
from time import monotonic
from typing import Final, Literal

import msgspec
import numpy as np

from bawn.contracts.errors import RequestError
from bawn.contracts.hints import Urgency
from bawn.model_server.engine.candidates import log_probabilities
from bawn.model_server.engine.grammar import Grammar
from bawn.model_server.engine.lookup import Lookup
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.engine.sampling import Sampler, Sampling
from bawn.model_server.engine.speculation import Chance
from bawn.model_server.engine.text import TextStream
from bawn.model_server.engine.vocabulary import Vocabulary

FinishReason = Literal["stop", "length"]

LEAST_GAP: Final = 32
"""Tokens between two places to which a model that needs checkpoints can go back, near the end of a prompt."""
WIDENING: Final = 16
"""Further from the end they may be so many times nearer to each other than the end is: each is a batch more."""


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is asked for."""

    tokens: list[int]
    """The prompt; at least one token."""
    max_tokens: int | None = None
    """None: until the context is full."""
    stops: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    grammar: Grammar | None = None
    """Holds what is generated to a form. One generation's own."""
    shown: frozenset[int] = frozenset()
    """Control tokens that come out as their text; others come out as nothing."""
    kind: Urgency = "chat"
    user: str = ""
    """Whose request it is, by any name: users get equal shares."""
    borders: tuple[int, ...] = ()
    """Where messages begin in the prompt, but for the first: later prompts may go on from there."""
    speculative: bool = True
    """Tokens may be guessed and checked, several in one step. The answer is the same."""
    logprobs: int | None = None
    """So many of the likeliest tokens are told with each token; None: no probabilities at all."""


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token's bytes and the natural logarithm of its probability at temperature 1, before any sampler."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()
    """The likeliest tokens in its place."""


class Output(msgspec.Struct, frozen=True):
    """What one token brought to one generation, or a few that came together; `finish` or `error` ends it."""

    text: str = ""
    finish: FinishReason | None = None
    error: RequestError | None = None
    logprobs: tuple[TokenLogprob, ...] = ()

    def joined(self, later: "Output") -> "Output":
        """This and what came after it, as one."""
        return Output(self.text + later.text, later.finish, later.error, self.logprobs + later.logprobs)


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
        self.heard_of = False
        """Whether the event loop was given anything of it."""
        self.lookup = Lookup() if request.speculative else None
        self.chance = Chance()
        """Of what the prompt hints at."""
        self.hint: int | None = None
        """The token that the prompt hinted at, where it was not worth being checked."""
        self.model_chance = Chance()
        """Of what a draft model gives."""
        self._borders = _worth_keeping(request.borders, len(request.tokens))
        self._text = TextStream(request.stops)
        self._sampler: Sampler | None = None

    def begin(self, cached_tokens: int, vocabulary: Vocabulary) -> None:
        """A slot was found. Keeps its counts and sampler when it is begun again after a preemption."""
        if self._sampler is None:
            self.progress.admitted = monotonic()
            self.progress.cached_tokens = cached_tokens
            self._sampler = Sampler(self.request.sampling, vocabulary, self.request.tokens, self.request.grammar)

    def take_hint(self) -> None:
        """Learn from the last hint, now that the token is there: what nobody checked costs nothing."""
        if self.hint is not None and self.lookup is not None:
            self.lookup.settle(0)
            self.chance = self.chance.after(1, int(self.tokens[-1] == self.hint))
        self.hint = None

    def next_border(self, position: int) -> int | None:
        """The next place behind `position` that is worth a checkpoint."""
        return next((border for border in self._borders if border > position), None)

    def at_border(self, position: int) -> bool:
        """Whether `position` is worth a checkpoint."""
        return position in self._borders

    def room(self, n_ctx: int) -> int:
        """Tokens that may still be generated."""
        left = n_ctx - len(self.tokens)
        if self.request.max_tokens is None:
            return left
        return min(left, self.request.max_tokens - self.progress.generated_tokens)

    def sample(self, runtime: Runtime, index: int) -> Output:
        """Choose the next token from the logits of the batch's token `index`."""
        assert self._sampler is not None  # noqa: S101 - only sequences that have begun are in a batch
        vocabulary = runtime.vocabulary
        token = self._sampler.sample(runtime.context, index, runtime.candidates)
        progress = self.progress
        if progress.first_token is None:
            progress.first_token = monotonic()
        if token is None or token in vocabulary.end_tokens:
            return Output(self._text.end(), "stop")
        logprobs = self._logprobs(runtime, index, token)
        self.tokens.append(token)
        progress.generated_tokens += 1
        text = self._text.push(vocabulary.piece(token, shown=token in self.request.shown))
        finish: FinishReason | None = None
        if self._text.stopped:
            finish = "stop"
        elif progress.generated_tokens == self.request.max_tokens or len(self.tokens) >= runtime.n_ctx:
            text, finish = text + self._text.end(), "length"
        return Output(text, finish, logprobs=logprobs)

    def _logprobs(self, runtime: Runtime, index: int, token: int) -> tuple[TokenLogprob, ...]:
        count = self.request.logprobs
        if count is None:
            return ()
        of = log_probabilities(runtime.candidates.logits(runtime.context, index))
        likeliest = np.argpartition(of, -count)[-count:] if count else np.empty(0, np.intp)
        likeliest = likeliest[np.argsort(-of[likeliest], kind="stable")]
        piece = runtime.vocabulary.piece
        top = tuple((piece(int(one), shown=True), float(of[one])) for one in likeliest)
        return (TokenLogprob(piece(token, shown=True), float(of[token]), top),)

    def close(self) -> None:
        """Free the sampler."""
        if self._sampler is not None:
            self._sampler.close()


def _worth_keeping(borders: tuple[int, ...], length: int) -> tuple[int, ...]:
    """Borders that are not too near to each other, the denser the nearer the end is; the last one, where the answer
    begins, always."""
    kept: list[int] = []
    inner = [border for border in borders if 0 < border < length]
    for border in inner or ([length - 1] if length > LEAST_GAP else []):
        gap = max(LEAST_GAP, (length - border) // WIDENING)
        if kept and border - kept[-1] < gap and border != inner[-1]:
            continue
        kept.append(border)
    return tuple(kept)
