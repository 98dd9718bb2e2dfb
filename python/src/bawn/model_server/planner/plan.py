"""What fits a card: the longest context, the finest cache, and, where the weights don't fit, how many layers."""

from typing import Final, Literal

import msgspec

from bawn.model_server.engine.options import KvType, sequences
from bawn.model_server.planner.memory import KV_BLOCKS, Context, compute_bytes, kv_bytes, state_bytes
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
_STEP: Final = 1024

Part = Literal["weights", "KV", "state", "compute", "CUDA"]
"""What takes a card's memory."""


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
    """Recurrent state of all sequences."""
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


def plan_for(
    shape: Shape, vram: int, slots: int, *, kv_types: tuple[KvType, ...] = KV_TYPES, layers: int | None = None
) -> Plan:
    """The best plan for a card of `vram` bytes.

    All layers on the card come first: one layer on the CPU makes each token wait for it. Then the finest cache of
    `kv_types` with which every slot has `TOKENS_PER_SLOT`; where none is fine enough, the one that holds the most
    tokens. With `layers`, so many are planned whether or not they fit: `fits` tells.
    """
    usable = usable_kv_types(shape, kv_types)
    wanted = min(shape.trained_context, slots * TOKENS_PER_SLOT)
    everything = len(shape.layers) + 1
    chosen = everything if layers is None else min(layers, everything)
    best: tuple[int, KvType] = (0, usable[0])
    for kv_type in usable:
        tokens = _longest(shape, vram, slots, kv_type, chosen)
        if tokens > best[0]:
            best = tokens, kv_type
        if tokens >= wanted:
            break
    if best[0] >= least_context(shape.trained_context):
        return _plan(shape, vram, Context(tokens=best[0], slots=slots, kv_type=best[1]), chosen)
    kv_type = "q8_0" if "q8_0" in usable else usable[-1]
    context = Context(tokens=min(shape.trained_context, 2 * LEAST_CONTEXT), slots=slots, kv_type=kv_type)
    if layers is None:
        chosen = next((n for n in range(everything - 1, 0, -1) if fits(shape, vram, context, n)), 0)
    return _plan(shape, vram, context, chosen)


def least_context(trained: int) -> int:
    """Tokens below which a context is of no use, for a model that was trained for contexts of `trained` tokens."""
    return min(LEAST_CONTEXT, trained)


def usable_kv_types(shape: Shape, kv_types: tuple[KvType, ...] = KV_TYPES) -> tuple[KvType, ...]:
    """Those of `kv_types` that the model can have; all of them where it can have none, so that llama.cpp says why."""
    return tuple(kind for kind in kv_types if shape.head % KV_BLOCKS[kind][0] == 0) or kv_types


def fits(shape: Shape, vram: int, context: Context, layers: int | None = None) -> bool:
    """Whether a card of `vram` bytes has room for so many layers, by default all, and `context`."""
    needed = sum(parts(shape, context, len(shape.layers) + 1 if layers is None else layers).values())
    return needed <= int(vram * (1 - RESERVED))


def parts(shape: Shape, context: Context, layers: int | None = None) -> dict[Part, int]:
    """Bytes on a card that gets the last `layers` layers, by default all; the output counts as the very last."""
    layers = len(shape.layers) + 1 if layers is None else layers
    on_gpu = shape.layers[len(shape.layers) - (layers - 1) :] if layers > 1 else []
    return {
        "weights": sum(layer.weights for layer in on_gpu) + (shape.output_weights if layers else 0),
        "KV": kv_bytes(shape, context, on_gpu),
        "state": state_bytes(shape, sequences(context.slots, fim=True), on_gpu),
        "compute": compute_bytes(shape, context),
        "CUDA": CUDA_BYTES,
    }


def _longest(shape: Shape, vram: int, slots: int, kv_type: KvType, layers: int) -> int:
    """Tokens of the longest context that fits, at most what the model was trained for; 0: none does."""
    low, high = 0, -(-shape.trained_context // _STEP)
    while low < high:
        middle = (low + high + 1) // 2
        context = Context(tokens=min(middle * _STEP, shape.trained_context), slots=slots, kv_type=kv_type)
        low, high = (middle, high) if fits(shape, vram, context, layers) else (low, middle - 1)
    return min(low * _STEP, shape.trained_context)


def _plan(shape: Shape, vram: int, context: Context, layers: int) -> Plan:
    taken = parts(shape, context, layers)
    if layers == 0:
        taken = dict.fromkeys(taken, 0) | {"CUDA": CUDA_BYTES}
    return Plan(
        vram_mib=vram // MIB,
        context_tokens=context.tokens,
        slots=context.slots,
        kv_type=context.kv_type,
        layers_on_gpu=layers,
        layers=len(shape.layers) + 1,
        weights_mib=_mib(taken["weights"]),
        kv_mib=_mib(taken["KV"]),
        state_mib=_mib(taken["state"]),
        compute_mib=_mib(taken["compute"]),
        cuda_mib=_mib(taken["CUDA"]),
        free_mib=max(0, (vram - sum(taken.values())) // MIB),
    )


def _mib(size: int) -> int:
    return -(-size // MIB)
