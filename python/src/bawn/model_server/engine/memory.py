"""What llama.cpp remembers of each sequence: cut, copied, saved to host memory and loaded from it.

Models with recurrent layers (Mamba; Qwen3.5 and 3.6, whose gated delta nets stand between attention layers) can't
forget the end of a sequence, since their state has no past. They go back to a *checkpoint*, a copy of that state. Three
ways of doing so give wrong logits without any error: not removing the positions after the checkpoint, rolling back by
llama.cpp's own snapshots further than one call reaches, and going on after an aborted decode. None is possible here:
each method leaves a sequence whole, or empty and says so.

Models with sliding windows (Gemma 3, gpt-oss) have a fourth: llama.cpp takes cells back that lie before the window of
a sequence's end, also where its cache has room for all, and leaves them out of what it saves. They go back by
checkpoints, too, which are their windows, and by themselves only to where the window is still there.
"""

import ctypes
from collections.abc import Sequence as Items
from typing import Any, Final, NamedTuple

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

_native: Final[Any] = llama  # whose declared types for plain numbers are those of C

Bytes = npt.NDArray[np.uint8]

_PARTIAL: Final = 1
"""`LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY`: what can't be cut, and nothing else."""
_HEADER: Final = 8
"""A saved sequence begins with a magic number and the sequence's id."""
NOTHING: Final[Bytes] = np.empty(0, np.uint8)


class Span(NamedTuple):
    """Saved keys and values of the positions from `start` to before `end`."""

    start: int
    end: int
    data: Bytes


class Memory:
    """The memory of one context. Used by the engine thread alone.

    The last of the context's sequences is nobody's: spans are cut out and put in there. The cache must be unified, so
    that a position of one sequence can be another's, too, without being there twice.
    """

    def __init__(self, context: Any, n_sequences: int, *, recurrent: bool, window: int = 0) -> None:
        self._context = context
        self._memory: Any = llama.llama_get_memory(context)
        self._scratch = n_sequences - 1
        self.recurrent = recurrent
        """Whether there are layers that can't take back even the last token."""
        self.by_checkpoints = recurrent or window > 0
        """Whether sequences go back further than some tokens by checkpoints, and only by them."""
        self._window = window
        self._head = self._get(self._scratch, 0)[:_HEADER]

    def clear(self, sequence: int) -> None:
        """Forget the sequence."""
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear_all(self) -> None:
        """Forget everything."""
        llama.llama_memory_clear(self._memory, True)

    def _reaches(self, sequence: int, length: int) -> bool:
        """Whether the window before `length` is there, so that the sequence can be cut to it."""
        if not self._window:
            return True
        first = int(llama.llama_memory_seq_pos_min(self._memory, sequence))
        return 0 <= first <= max(0, length - self._window + 1)

    def cut(self, sequence: int, length: int) -> bool:
        """Forget what comes from position `length` on. False: the model can't, and the sequence is empty."""
        reaches = length > 0 and self._reaches(sequence, length)
        if reaches and llama.llama_memory_seq_rm(self._memory, sequence, length, -1):
            return True
        self.clear(sequence)
        return length == 0

    def share(self, source: int, target: int, length: int) -> None:
        """Make the first `length` positions of `source` also `target`'s, which is emptied before.

        Where there are checkpoints `target` is then to be rolled back: the state it has is that of the end of `source`.
        """
        self.clear(target)
        llama.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def checkpoint(self, sequence: int) -> Bytes:
        """What can't be cut at the end of the sequence, recurrent layers or windows; empty where there is none."""
        return self._get(sequence, _PARTIAL)[_HEADER:].copy() if self.by_checkpoints else NOTHING

    def roll_back(self, sequence: int, checkpoint: Bytes, length: int) -> bool:
        """Go back to a checkpoint that was taken at `length`. False: it is refused, and the sequence is empty."""
        if self._set(sequence, np.concatenate([self._head, checkpoint]), _PARTIAL) and self.cut(sequence, length):
            return True
        self.clear(sequence)
        return False

    def save(self, sequence: int, start: int, end: int) -> Bytes:
        """Keys and values of a span of positions, in host memory."""
        self.share_span(sequence, self._scratch, start, end)
        data = self._get(self._scratch, 0)
        if self.by_checkpoints:
            states = int(_native.llama_state_seq_get_size_ext(self._context, self._scratch, _PARTIAL)) - _HEADER
            data = data[: len(data) - states].copy()
        self.clear(self._scratch)
        return data

    def share_span(self, source: int, target: int, start: int, end: int) -> None:
        """Make positions of `source` also `target`'s, which keeps what it has."""
        llama.llama_memory_seq_cp(self._memory, source, target, start, end)

    def load(self, sequence: int, held: int, spans: Items[Span], state: Bytes, length: int) -> bool:
        """Put saved spans after what the sequence holds; they follow each other and reach up to `length` at least.

        Args:
            sequence: where to.
            held: positions that it holds; the first span may begin among them.
            spans: as `save` made them.
            state: the checkpoint at `length`; empty where the model needs none.
            length: what the sequence holds afterwards.

        Returns:
            False where llama.cpp refuses one; the sequence is then empty.
        """
        for span in spans:
            if not self._set(self._scratch, np.concatenate([span.data, state]), 0):
                self.clear(self._scratch)
                self.clear(sequence)
                return False
            self.share_span(self._scratch, sequence, max(span.start, held), min(span.end, length))
            self.clear(self._scratch)
        return self.cut(sequence, length)

    def _get(self, sequence: int, flags: int) -> Bytes:
        size = int(_native.llama_state_seq_get_size_ext(self._context, sequence, flags))
        data = np.empty(size, np.uint8)
        written = int(_native.llama_state_seq_get_data_ext(self._context, _pointer(data), size, sequence, flags))
        return data[:written]

    def _set(self, sequence: int, data: Bytes, flags: int) -> bool:
        taken = _native.llama_state_seq_set_data_ext(self._context, _pointer(data), len(data), sequence, flags)
        return int(taken) != 0


def _pointer(data: Bytes) -> Any:
    return data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
