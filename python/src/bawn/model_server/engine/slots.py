"""Slots: the sequences of the KV cache, what each holds, and which of them a prompt should take."""

from collections.abc import Sequence as Items

import msgspec

from bawn.model_server.engine.sequence import Sequence

_BLOCK = 256

MIN_SHARE = 0.1
"""A shared beginning shorter than this part of a prompt does not make a slot worth overwriting: llama-server's rule."""


class SlotView(msgspec.Struct, frozen=True):
    """A slot as `/slots` shows it: numbers only."""

    id: int
    state: str
    held_tokens: int
    prompt_tokens: int = 0
    generated_tokens: int = 0
    cached_tokens: int = 0


class Slot:
    """One sequence of the cache."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.held: list[int] = []
        """Tokens whose keys and values are in the cache."""
        self.sequence: Sequence | None = None
        self.used = 0
        """Decode step at which the slot was last busy."""

    @property
    def pending(self) -> int:
        """Tokens of the sequence that are not in the cache yet; one while it generates."""
        return 0 if self.sequence is None else len(self.sequence.tokens) - len(self.held)

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


def choose(idle: Items[Slot], tokens: list[int]) -> tuple[Slot, int]:
    """The idle slot for a prompt, and how many of the prompt's tokens its cache already holds.

    The longest match wins; where none is worth it, the slot that was busy longest ago (an empty one first).
    The last token of a prompt is always fed again, since its logits are needed.
    """
    matches = [(common_prefix(slot.held, tokens), slot) for slot in idle]
    best, slot = max(matches, key=lambda match: (match[0], -match[1].used))
    if best < MIN_SHARE * len(tokens):
        slot = min(idle, key=lambda slot: (bool(slot.held), slot.used))
        best = common_prefix(slot.held, tokens)
    return slot, min(best, len(tokens) - 1)
