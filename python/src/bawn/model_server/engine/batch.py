"""The arrays of one llama.cpp batch, filled a run of tokens at a time."""

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as llama


class Batch:
    """Up to `capacity` tokens of up to `n_slots` sequences. Slice assignment keeps filling it cheap."""

    def __init__(self, capacity: int, n_slots: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._tokens = (llama.llama_token * capacity)()
        self._positions = (llama.llama_pos * capacity)()
        self._outputs = (ctypes.c_int8 * capacity)()
        self._counts = (ctypes.c_int32 * capacity)(*([1] * capacity))
        # Each token points to the id of its one sequence.
        self._ids = (llama.llama_seq_id * n_slots)(*range(n_slots))
        pointer = ctypes.POINTER(llama.llama_seq_id)
        base, width = ctypes.addressof(self._ids), ctypes.sizeof(llama.llama_seq_id)
        self._id_pointers = [ctypes.cast(base + i * width, pointer) for i in range(n_slots)]
        self._sequences = (pointer * capacity)()
        self._raw = llama.llama_batch(
            0,
            ctypes.cast(self._tokens, ctypes.POINTER(llama.llama_token)),
            None,
            ctypes.cast(self._positions, ctypes.POINTER(llama.llama_pos)),
            ctypes.cast(self._counts, ctypes.POINTER(ctypes.c_int32)),
            ctypes.cast(self._sequences, ctypes.POINTER(pointer)),
            ctypes.cast(self._outputs, ctypes.POINTER(ctypes.c_int8)),
        )

    @property
    def raw(self) -> Any:
        """The `llama_batch` of what was added."""
        self._raw.n_tokens = self.size
        return self._raw

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return self.capacity - self.size

    def clear(self) -> None:
        """Empty the batch."""
        self.size = 0

    def add(self, sequence: int, position: int, tokens: Sequence[int], *, output: bool) -> int:
        """Add `tokens` of `sequence` from `position` on; with `output`, logits of the last. Returns its index."""
        start, end = self.size, self.size + len(tokens)
        self._tokens[start:end] = list(tokens)
        self._positions[start:end] = list(range(position, position + len(tokens)))
        self._outputs[start:end] = [0] * len(tokens)
        pointer = self._id_pointers[sequence]
        for at in range(start, end):
            self._sequences[at] = pointer
        self._outputs[end - 1] = 1 if output else 0
        self.size = end
        return end - 1
