"""The arrays of one llama.cpp batch, filled a run of tokens at a time."""

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as llama


class Batch:
    """Up to `capacity` tokens of up to `n_sequences` sequences. Slice assignment keeps filling it cheap."""

    def __init__(self, capacity: int, n_sequences: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._tokens = (llama.llama_token * capacity)()
        self._positions = (llama.llama_pos * capacity)()
        self._outputs = (ctypes.c_int8 * capacity)()
        self._counts = (ctypes.c_int32 * capacity)(*([1] * capacity))
        # Each token points to the id of its one sequence.
        self._ids = (llama.llama_seq_id * n_sequences)(*range(n_sequences))
        pointer = ctypes.POINTER(llama.llama_seq_id)
        base, width = ctypes.addressof(self._ids), ctypes.sizeof(llama.llama_seq_id)
        self._id_pointers = [ctypes.cast(base + i * width, pointer) for i in range(n_sequences)]
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

    def clear(self) -> None:
        """Empty the batch."""
        self.size = 0

    def add(self, sequence: int, position: int, tokens: Sequence[int], *, outputs: int) -> int:
        """Add `tokens` of `sequence` from `position` on, with logits of the last `outputs`; its last index."""
        start, end = self.size, self.size + len(tokens)
        self._tokens[start:end] = list(tokens)
        self._positions[start:end] = list(range(position, position + len(tokens)))
        self._outputs[start:end] = [0] * (len(tokens) - outputs) + [1] * outputs
        pointer = self._id_pointers[sequence]
        for at in range(start, end):
            self._sequences[at] = pointer
        self.size = end
        return end - 1
