"""What the engine starts with where the settings leave it open: the plan, and the steps back when memory is refused."""

import logging
from collections.abc import Iterator

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine.options import DEFAULT_CONTEXT, EngineOptions, KvType
from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.memory import Context, compute_bytes
from bawn.model_server.planner.plan import (
    CUDA_BYTES,
    KV_TYPES,
    MIB,
    RESERVED,
    Plan,
    fits,
    least_context,
    parts,
    plan_for,
    usable_kv_types,
)
from bawn.model_server.planner.shape import Shape, shape_of
from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server.planner")


class Allocation(msgspec.Struct, frozen=True):
    """A context to ask llama.cpp for."""

    tokens: int
    kv_type: KvType


def planned(options: EngineOptions, layers: int, free_mib: list[int]) -> EngineOptions:
    """`options` with context and cache type as planned, where they are not set and layers go to GPUs.

    `layers` is what is to be loaded on the GPUs, -1 for all; `free_mib` what each has free, none where nothing goes
    there. What is set stays as it is.

    Raises:
        SettingsError: not all layers fit, and the settings don't ask for fewer.
    """
    if not free_mib or (options.n_ctx and options.kv_type is not None):
        return options
    try:
        shape = shape_of(read_header(options.model), str(options.model))
    except SettingsError as error:
        # llama.cpp may know the model all the same.
        event(_log, "not_planned", level=logging.WARNING, reason=str(error))
        return options
    room = _room(shape, options.n_slots, free_mib)
    on_gpu = len(shape.layers) + 1 if layers < 0 else min(layers, len(shape.layers) + 1)
    if options.n_ctx:
        kv_type = _finest(shape, room, options, on_gpu)
        event(_log, "planned", context=options.n_ctx, slots=options.n_slots, kv_type=kv_type, free_mib=sum(free_mib))
        return msgspec.structs.replace(options, kv_type=kv_type)
    kv_types = KV_TYPES if options.kv_type is None else (options.kv_type,)
    plan = plan_for(shape, room, options.n_slots, kv_types=kv_types, layers=on_gpu)
    if not fits(shape, room, _context(plan), on_gpu):
        raise SettingsError(_too_large(shape, options, plan, room, sum(free_mib)))
    event(
        _log,
        "planned",
        context=plan.context_tokens,
        slots=plan.slots,
        kv_type=plan.kv_type,
        layers=plan.layers_on_gpu,
        weights_mib=plan.weights_mib,
        kv_mib=plan.kv_mib,
        free_mib=sum(free_mib),
    )
    return msgspec.structs.replace(options, n_ctx=plan.context_tokens, kv_type=plan.kv_type)


def allocations(asked: EngineOptions, start: EngineOptions, trained: int) -> Iterator[Allocation]:
    """What to try, in order: `start`, then one step back at a time, and nothing that `asked` does not leave open.

    Coarser caches come first, then half of the context again and again, down to what is still of use. `trained` is the
    context that the model was trained for.
    """
    tokens, kv_type = start.n_ctx or min(trained, DEFAULT_CONTEXT), start.kv_type or KV_TYPES[0]
    yield Allocation(tokens, kv_type)
    for coarser in _coarser(asked, kv_type) if asked.kv_type is None else ():
        kv_type = coarser
        yield Allocation(tokens, kv_type)
    while asked.n_ctx == 0 and tokens > least_context(trained):
        tokens = max(tokens // 2, least_context(trained))
        yield Allocation(tokens, kv_type)


def refusal(asked: EngineOptions, last: Allocation, said: str) -> str:
    """The sentence for memory that was refused to the `last` allocation; `said` is llama.cpp's reason."""
    because = f"llama.cpp says: {said or 'nothing'}"
    if " cache type " in said:
        return f"kv_type: this model can't have a KV cache of {last.kv_type}; {because}"
    context = f"a context of {last.tokens} tokens with a KV cache of {last.kv_type}"
    if asked.n_ctx == 0:
        return f"There is no memory even for {context}: free some, or take a smaller model or quantisation. {because}"
    coarser = "" if asked.kv_type in {None, KV_TYPES[-1]} else ", or set a coarser kv_type"
    return f"n_ctx: is {asked.n_ctx}, and there is no memory for {context}; lower it{coarser}. {because}"


def _room(shape: Shape, slots: int, free_mib: list[int]) -> int:
    """What several GPUs together are worth as one: each has buffers of its own, and layers are not cut in two."""
    longest = Context(tokens=shape.trained_context, slots=slots)
    cut = max((layer.weights for layer in shape.layers), default=0)
    each = CUDA_BYTES + compute_bytes(shape, longest) + cut
    return max(0, sum(free_mib) * MIB - (len(free_mib) - 1) * each)


def _context(plan: Plan) -> Context:
    return Context(tokens=plan.context_tokens, slots=plan.slots, kv_type=plan.kv_type)


def _finest(shape: Shape, room: int, options: EngineOptions, layers: int) -> KvType:
    """The finest cache with which the context that is set fits; the coarsest where none does."""
    usable = usable_kv_types(shape)
    for kv_type in usable:
        if fits(shape, room, Context(tokens=options.n_ctx, slots=options.n_slots, kv_type=kv_type), layers):
            return kv_type
    return usable[-1]


def _coarser(options: EngineOptions, kv_type: KvType) -> tuple[KvType, ...]:
    """Coarser types that the model can have: none where that is not known."""
    try:
        shape = shape_of(read_header(options.model), str(options.model))
    except SettingsError:
        return ()
    return tuple(kind for kind in usable_kv_types(shape) if KV_TYPES.index(kind) > KV_TYPES.index(kv_type))


def _too_large(shape: Shape, options: EngineOptions, plan: Plan, room: int, free_mib: int) -> str:
    asked = "is not set, which means all" if options.n_gpu_layers is None else f"is {options.n_gpu_layers}"
    needed = sum(parts(shape, _context(plan), plan.layers_on_gpu).values()) // MIB
    best = plan_for(shape, room, options.n_slots)
    mend = "take a smaller quantisation (`bawn plan` says which)"
    if best.whole:
        mend = "set a coarser kv_type"
    elif best.layers_on_gpu:
        mend += f", or set n_gpu_layers = {best.layers_on_gpu} and let the CPU compute the rest"
    return (
        f"n_gpu_layers: {asked}, but {plan.layers_on_gpu} layers with a context of {plan.context_tokens} tokens take "
        f"{needed} MiB, and {int(room * (1 - RESERVED)) // MIB} of {free_mib} free MiB on the GPU may be used; {mend}."
    )
