"""A draft model: a small one with the large one's vocabulary says what may come next, and the large one checks it.

After Y. Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (2022), with a plainer rule: a
token is right where the large model's own sampler chooses it, so that answers stay what they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.options import EngineOptions, sequences
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.engine.slots import common_prefix
from bawn.model_server.engine.speculation import LENGTHS, Costs

WINDOW: Final = 2048
"""The draft model sees the last tokens of a sequence only: half a window at least, one at most. What stands further up
is repeated by prompt lookup."""
CATCH_UP: Final = 128
"""Tokens of a sequence that the draft model is fed in one step, so that a long prompt holds nobody up."""
_STEPS: Final = (1, 2, 4, 8)


class Wanted(NamedTuple):
    """A draft that is asked for."""

    tokens: list[int]
    """Of the sequence, from its beginning."""
    length: int
    """Tokens of the draft, at most; more than 0."""


class DraftModel:
    """The small model and what it holds of each slot's sequence. Used by the engine thread alone."""

    def __init__(self, path: Path, options: EngineOptions) -> None:
        """Load the model.

        Args:
            path: its GGUF.
            options: what the engine whose drafts it makes is started with.

        Raises:
            SettingsError: it can't be loaded, or can't take tokens back.
        """
        self._path = path
        self._runtime = Runtime(_own(options, path))
        try:
            if self._runtime.memory.recurrent:
                raise SettingsError(
                    f"draft_model: {self._path} has recurrent layers, which can't take a wrong guess back."
                    " Choose one with attention layers only, or leave it out."
                )
            self._runtime.warm_up()
            self._costs = Costs(self._runtime.measure(_STEPS))
        except BaseException:
            self.close()
            raise
        self._batch = Batch(self._runtime.n_batch, self._runtime.n_sequences)
        self._held: dict[int, list[int]] = {}
        self._known = self._runtime.vocabulary.size

    def check(self, runtime: Runtime) -> None:
        """Whether it can draft for the model of `runtime`.

        Raises:
            SettingsError: that one can't take tokens back, or has another vocabulary.
        """
        if runtime.memory.recurrent:
            raise SettingsError(
                "draft_model: the model has recurrent layers, which can't take a wrong guess back; leave it out."
            )
        why = runtime.vocabulary.difference(self._runtime.vocabulary)
        if why is not None:
            raise SettingsError(f"draft_model: {self._path} has another vocabulary than the model: {why}.")
        self._known = min(self._runtime.vocabulary.size, runtime.vocabulary.size)

    def step_s(self, slots: int) -> float:
        """Seconds of a step that gives one token for each of so many slots; infinite, where it was too slow to tell."""
        return self._costs.of(slots) if self._costs.known else float("inf")

    def drafts(self, wanted: Mapping[int, Wanted]) -> dict[int, list[int]]:
        """A draft for each slot, by its number, of which the model has seen enough; each has one token at least."""
        self._batch.clear()
        ends: dict[int, int] = {}
        for number, (tokens, _) in wanted.items():
            seen = tokens[_first_seen(len(tokens)) :]
            start = self._take_back(number, seen)
            size = min(len(seen) - start, CATCH_UP, self._batch.capacity - self._batch.size)
            if size:
                whole = start + size == len(seen)
                index = self._add(number, seen[start : start + size], outputs=int(whole))
                ends |= {number: index} if whole else {}
        drafts: dict[int, list[int]] = {number: [] for number in ends}
        while self._batch.size and self._decoded():
            for number, index in ends.items():
                drafts[number].append(self._likeliest(index))
            self._batch.clear()
            going = [number for number in ends if len(drafts[number]) < wanted[number].length]
            ends = {number: self._add(number, drafts[number][-1:], outputs=1) for number in going}
        return {number: draft for number, draft in drafts.items() if draft}

    def _take_back(self, number: int, seen: list[int]) -> int:
        """Forget what the slot's sequence does not begin with; the number of tokens that stay, which is not all."""
        held = self._held.setdefault(number, [])
        start = min(common_prefix(held, seen), len(seen) - 1)
        if start < len(held) and not self._runtime.memory.cut(number, start):
            start = 0
        del held[start:]
        return start

    def _add(self, number: int, tokens: list[int], *, outputs: int) -> int:
        held = self._held[number]
        index = self._batch.add(number, len(held), tokens, outputs=outputs)
        held += tokens
        return index

    def _decoded(self) -> bool:
        if self._runtime.decode(self._batch):
            return True
        self._runtime.memory.clear_all()
        self._held.clear()
        return False

    def _likeliest(self, index: int) -> int:
        logits = self._runtime.candidates.logits(self._runtime.context, index)
        return int(np.argmax(logits[: self._known]))

    def close(self) -> None:
        """Free the model."""
        self._runtime.close()


def _own(options: EngineOptions, model: Path) -> EngineOptions:
    # A cell more for each token of a draft, and for each sequence: the one for autocomplete may not be there.
    cells = sequences(options.n_slots, fim=True) * (WINDOW + LENGTHS[-1])
    on_gpu = -1 if options.n_gpu_layers else options.n_gpu_layers
    return msgspec.structs.replace(
        options, model=model, draft_model=None, n_ctx=cells, n_gpu_layers=on_gpu, cache_mib=0, state_dir=None
    )


def _first_seen(length: int) -> int:
    """Where the window of a sequence of so many tokens begins: it moves on by halves, so that it seldom moves."""
    half = WINDOW // 2
    return max(0, (length - 1) // half - 1) * half
