"""Arithmetic on vectors."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""One a row."""


def unit(vectors: Vectors) -> Vectors:
    """Each row at length 1; one of zeros stays so."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


def shortened(vectors: Vectors, width: int) -> Vectors:
    """The first `width` numbers of each row, at length 1 again: what models trained for it (Matryoshka) allow."""
    return unit(vectors[:, :width]) if width < vectors.shape[1] else vectors
