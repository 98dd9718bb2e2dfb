"""Slots: the sequences of the KV cache, and what each holds."""

from typing import NamedTuple

import msgspec

from bawn.model_server.engine.memory import Bytes
from bawn.model_server.engine.sequence import Sequence

_BLOCK = 256


class SlotView(msgspec.Struct, frozen=True):
    """A slot as `/slots` shows it: numbers only."""

    id: int
    state: str
    held_tokens: int
    prompt_tokens: int = 0
    generated_tokens: int = 0
    cached_tokens: int = 0


class Checkpoint(NamedTuple):
    """A place to which a slot of a model that needs checkpoints can go back."""

    length: int
    """Tokens before it."""
    state: Bytes


class Slot:
    """One sequence of the cache."""

    def __init__(self, number: int, *, reserved: bool = False) -> None:
        self.number = number
        self.reserved = reserved
        """For autocomplete alone, which can't wait until somebody's long answer is done."""
        self.held: list[int] = []
        """Tokens whose keys and values are in the cache."""
        self.checkpoints: list[Checkpoint] = []
        """In the order of their lengths; none is longer than what is held."""
        self.sequence: Sequence | None = None
        self.used = 0.0
        """When the slot was last busy, in seconds of the monotonic clock; 0: never."""
        self.fed = 0.0
        """When something of its sequence was last decoded, or when that was given the slot."""
        self.owner: Slot | None = None
        """Whose cells the first `shared` of the slot's tokens are in."""
        self.shared = 0

    @property
    def pending(self) -> int:
        """Tokens of the sequence that are not in the cache yet; one while it generates."""
        return 0 if self.sequence is None else len(self.sequence.tokens) - len(self.held)

    @property
    def cells(self) -> int:
        """Cells of the cache that no other slot accounts for."""
        return len(self.held) - self.shared

    def shorten(self, length: int) -> None:
        """Keep the books: the slot holds its first `length` tokens only."""
        del self.held[length:]
        self.checkpoints = [one for one in self.checkpoints if one.length <= length]
        self.shared = min(self.shared, length)

    def view(self) -> SlotView:
        """The slot in numbers. Safe to call while the engine works."""
        sequence, held = self.sequence, len(self.held)
        if sequence is None:
            return SlotView(self.number, "idle", held)
        progress = sequence.progress
        state = "prefill" if progress.first_token is None else "generating"
        return SlotView(
            self.number, state, held, progress.prompt_tokens, progress.generated_tokens, progress.cached_tokens
        )


def common_prefix(a: list[int], b: list[int]) -> int:
    """Length of the longest common beginning."""
    end = min(len(a), len(b))
    at = 0
    # Comparing slices runs in C; only the block that differs is walked.
    while at < end and a[at : at + _BLOCK] == b[at : at + _BLOCK]:
        at += _BLOCK
    at = min(at, end)
    while at < end and a[at] == b[at]:
        at += 1
    return at
