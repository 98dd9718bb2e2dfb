"""What fits a card: the longest context, the finest cache, and, where the weights don't fit, how many layers."""

from typing import Final

import msgspec

from bawn.model_server.engine.options import KvType
from bawn.model_server.planner.memory import Context, compute_bytes, kv_bytes, state_bytes
from bawn.model_server.planner.shape import Shape

MIB: Final = 1 << 20
CUDA_BYTES: Final = 500 * MIB
"""What a CUDA context, its libraries and the kernels take on a card before anything is loaded."""
RESERVED: Final = 0.03
"""Part of a card that is kept free: error correction and the driver take it, and buffers are not packed tightly."""
KV_TYPES: Final[tuple[KvType, ...]] = ("f16", "q8_0", "q4_0")
"""Finest first. bf16 takes as much as f16 and is never finer for a model that was converted to f16."""
TOKENS_PER_SLOT: Final = 16384
"""What a coding agent needs at least: system prompt, tools and some files."""
LEAST_CONTEXT: Final = 4096
MOST_SLOTS: Final = 16
CARDS_GIB: Final = (12, 16, 24, 32, 48, 80)
_STEP: Final = 1024


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a card. Sizes are MiB, rounded up."""

    vram_mib: int
    context_tokens: int
    """Cells of the cache, shared by all slots."""
    slots: int
    kv_type: KvType
    layers_on_gpu: int
    """`n_gpu_layers`: the output counts as a layer."""
    layers: int
    weights_mib: int
    kv_mib: int
    state_mib: int
    """Recurrent state of all slots."""
    compute_mib: int
    cuda_mib: int
    free_mib: int

    @property
    def whole(self) -> bool:
        """Whether every layer is on the card."""
        return self.layers_on_gpu == self.layers

    @property
    def settings(self) -> dict[str, int | str]:
        """Settings of the model server that carry it out."""
        return {
            "n_ctx": self.context_tokens,
            "n_slots": self.slots,
            "kv_type": self.kv_type,
            "n_gpu_layers": -1 if self.whole else self.layers_on_gpu,
        }


def slots_for(users: int | None) -> int:
    """Requests decoded at the same time: one for each of `users`, within reason."""
    return min(users, MOST_SLOTS) if users is not None else 4


def plan_for(shape: Shape, vram: int, slots: int) -> Plan:
    """The best plan for a card of `vram` bytes.

    All layers on the card come first: one layer on the CPU makes each token wait for it. Then the finest cache with
    which every slot has `TOKENS_PER_SLOT`; where none is fine enough, the one that holds the most tokens.
    """
    wanted = min(shape.trained_context, slots * TOKENS_PER_SLOT)
    everything = len(shape.layers) + 1
    best: tuple[int, KvType] = (0, KV_TYPES[0])
    for kv_type in KV_TYPES:
        tokens = _longest(shape, vram, slots, kv_type, everything)
        if tokens > best[0]:
            best = tokens, kv_type
        if tokens >= wanted:
            break
    if best[0] >= min(LEAST_CONTEXT, shape.trained_context):
        return _plan(shape, vram, Context(tokens=best[0], slots=slots, kv_type=best[1]), everything)
    context = Context(tokens=min(shape.trained_context, 2 * LEAST_CONTEXT), slots=slots, kv_type="q8_0")
    layers = next((n for n in range(everything - 1, 0, -1) if _needs(shape, context, n) <= _budget(vram)), 0)
    return _plan(shape, vram, context, layers)


def _longest(shape: Shape, vram: int, slots: int, kv_type: KvType, layers: int) -> int:
    """Tokens of the longest context that fits, at most what the model was trained for; 0: none does."""
    low, high = 0, -(-shape.trained_context // _STEP)
    while low < high:
        middle = (low + high + 1) // 2
        context = Context(tokens=min(middle * _STEP, shape.trained_context), slots=slots, kv_type=kv_type)
        low, high = (middle, high) if _needs(shape, context, layers) <= _budget(vram) else (low, middle - 1)
    return min(low * _STEP, shape.trained_context)


def _budget(vram: int) -> int:
    return int(vram * (1 - RESERVED)) - CUDA_BYTES


def _parts(shape: Shape, context: Context, layers: int) -> tuple[int, int, int, int]:
    """Bytes of weights, cache, state and compute buffer on the card, which gets the last layers, output first."""
    on_gpu = shape.layers[len(shape.layers) - (layers - 1) :] if layers > 1 else []
    weights = sum(layer.weights for layer in on_gpu) + (shape.output_weights if layers else 0)
    return (
        weights,
        kv_bytes(shape, context, on_gpu),
        state_bytes(shape, context.slots, on_gpu),
        compute_bytes(shape, context),
    )


def _needs(shape: Shape, context: Context, layers: int) -> int:
    return sum(_parts(shape, context, layers))


def _plan(shape: Shape, vram: int, context: Context, layers: int) -> Plan:
    weights, cache, state, compute = _parts(shape, context, layers)
    if layers == 0:
        weights = cache = state = compute = 0
    return Plan(
        vram_mib=vram // MIB,
        context_tokens=context.tokens,
        slots=context.slots,
        kv_type=context.kv_type,
        layers_on_gpu=layers,
        layers=len(shape.layers) + 1,
        weights_mib=_mib(weights),
        kv_mib=_mib(cache),
        state_mib=_mib(state),
        compute_mib=_mib(compute),
        cuda_mib=_mib(CUDA_BYTES),
        free_mib=max(0, (vram - CUDA_BYTES - weights - cache - state - compute) // MIB),
    )


def _mib(size: int) -> int:
    return -(-size // MIB)
