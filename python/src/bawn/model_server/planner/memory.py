"""How much memory a context takes: KV cache, recurrent state and compute buffers, in bytes."""

from typing import Final

import msgspec

from bawn.model_server.engine.options import KvType
from bawn.model_server.planner.shape import Layer, Shape

KV_BLOCKS: Final[dict[KvType, tuple[int, int]]] = {"f16": (1, 2), "bf16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}
"""Type of the cache → numbers and bytes of a block."""

CELLS: Final = 256
"""The cache's length is rounded up to a multiple."""


class Context(msgspec.Struct, frozen=True):
    """What a context is made with."""

    tokens: int
    """Cells of the cache, shared by all slots."""
    slots: int
    kv_type: KvType = "f16"
    micro_batch: int = 512
    """Tokens that are computed at once."""
    whole_windows: bool = True
    """Layers with a sliding window keep the whole context, so that the end of a sequence can be forgotten: llama.cpp's
    default (`swa_full`), and what the engine runs with."""


def kv_bytes(shape: Shape, context: Context, layers: list[Layer] | None = None) -> int:
    """The KV cache of `layers`, by default of all."""
    tokens = _padded(context.tokens)
    windowed = tokens
    if not context.whole_windows:
        windowed = _padded(min(tokens, shape.window * context.slots + context.micro_batch))
    cells = {"full": tokens, "window": windowed, "recurrent": 0}
    return sum(
        cells[layer.memory] * (row_bytes(layer.k_width, context.kv_type) + row_bytes(layer.v_width, context.kv_type))
        for layer in (shape.layers if layers is None else layers)
    )


def kv_bytes_per_token(shape: Shape, kv_type: KvType) -> int:
    """What one more token of context takes."""
    return sum(row_bytes(layer.k_width, kv_type) + row_bytes(layer.v_width, kv_type) for layer in shape.layers)


def row_bytes(numbers: int, kv_type: KvType) -> int:
    """Bytes of so many numbers of one token."""
    block, size = KV_BLOCKS[kv_type]
    return -(-numbers // block) * size


def state_bytes(shape: Shape, sequences: int, layers: list[Layer] | None = None) -> int:
    """Recurrent state: always F32, once for each sequence, of which a context has more than slots."""
    recurrent = sum(layer.memory == "recurrent" for layer in (shape.layers if layers is None else layers))
    return recurrent * sequences * shape.state * 4


def compute_bytes(shape: Shape, context: Context) -> int:
    """The compute buffer, estimated from above: logits and activations of one micro batch, and the attention mask.

    llama.cpp reserves for the largest graph it may build, with logits of every token. What lives at the same time
    varies with the architecture; the tests hold this between the buffer that llama.cpp reports and twice that.
    """
    tokens = min(context.micro_batch, context.tokens)
    logits = shape.vocabulary * tokens * 4
    widest = max([layer.k_width + layer.v_width for layer in shape.layers], default=0)
    # Each expert makes an embedding of its own, before they are weighed and added.
    embeddings = 6 + shape.experts_used
    activations = (embeddings * shape.embedding + 3 * shape.feed_forward + 2 * widest) * tokens * 4
    # A gated delta net works in chunks of 64 tokens, on copies of its inputs and its state.
    delta = (6 + 2 * context.slots) * shape.state * 4 + 8 * shape.embedding * tokens * 4 if shape.state else 0
    # Half-precision; layers with a sliding window have their own.
    mask = _padded(context.tokens) * tokens * 2 * (2 if shape.window else 1)
    return logits + activations + delta + mask


def _padded(tokens: int) -> int:
    return -(-tokens // CELLS) * CELLS
