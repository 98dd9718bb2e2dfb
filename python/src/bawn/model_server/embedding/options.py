"""What the embedding engine is started with."""

from pathlib import Path
from typing import Final

import msgspec

DEFAULT_CONTEXT: Final = 2048
"""Longer than a chunk of code should be; compute buffers grow with it."""


class EmbeddingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are tokens unless said; 0 means "choose"."""

    model: Path
    name: str
    """Under which it is served."""
    n_ctx: int = 0
    """Longest input; 0: the model's training context, at most `DEFAULT_CONTEXT`."""
    n_batch: int = 512
    """Inputs are computed together up to so many tokens; a longer one is computed alone."""
    threads: int = 0
    """0: one a physical core."""
    n_gpu_layers: int | None = None
    """Layers on the GPU; -1: all; None: all in a build for GPUs, none in another."""
    queue_size: int = 64
    """Requests that may be under way."""
    max_wait_s: float = float("inf")
    """Who would wait longer, by what is known, is refused at once."""
