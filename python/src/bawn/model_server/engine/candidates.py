"""The logits of one position, as numbers and as llama.cpp's samplers take them."""

import ctypes
from typing import Any, Final

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

_DATA: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """Every token with its logit. Made once, filled for each position."""

    def __init__(self, n_vocab: int) -> None:
        self._n_vocab = n_vocab
        self._ids = np.arange(n_vocab, dtype=np.int32)
        self._data = np.zeros(n_vocab, _DATA)
        self._pointer = self._data.ctypes.data_as(ctypes.POINTER(llama.llama_token_data))

    def logits(self, context: Any, index: int) -> npt.NDArray[np.float32]:
        """The logits of the batch's token `index`: llama.cpp's own memory, valid until the next decode."""
        return np.ctypeslib.as_array(llama.llama_get_logits_ith(context, index), (self._n_vocab,))

    def fill(self, logits: npt.NDArray[np.float32]) -> Any:
        """A fresh `llama_token_data_array`; the one before is no longer valid."""
        self._data["id"], self._data["logit"], self._data["p"] = self._ids, logits, 0.0
        return llama.llama_token_data_array(self._pointer, self._n_vocab, -1, False)

    def any_left(self) -> bool:
        """Whether a token is left that can be chosen."""
        return bool(np.isfinite(self._data["logit"]).any())

    def chosen(self, array: Any) -> int:
        """The token that samplers have selected in `array`."""
        return int(self._data["id"][array.selected])


def log_probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Natural logarithms of the probabilities, at temperature 1."""
    shifted = logits.astype(np.float64) - float(logits.max())
    return shifted - float(np.log(np.exp(shifted).sum()))


def apply(sampler: Any, array: Any) -> None:
    """Let a sampler change, order or select in a `llama_token_data_array`."""
    reference: Any = ctypes.byref(array)
    llama.llama_sampler_apply(sampler, reference)
