"""What the engine is started with."""

import os
from pathlib import Path
from typing import Literal

import msgspec

KvType = Literal["f16", "bf16", "q8_0", "q4_0"]
"""The types that flash attention is compiled for on GPUs, K and V alike."""


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are tokens unless said; 0 means "choose"."""

    model: Path
    n_ctx: int = 0
    """Cells of the KV cache, shared by all slots; 0: what the plan has room for on a GPU, and on the CPU the model's
    training context, at most `DEFAULT_CONTEXT`."""
    n_slots: int = 4
    """Sequences that are decoded in one batch."""
    n_batch: int = 512
    """Tokens of one decode step: also how long a cancelled prefill may still hold the engine."""
    threads: int = 0
    """Threads of a decode step; 0: one a physical core."""
    n_gpu_layers: int | None = None
    """Layers on the GPU; -1: all; None: all in a build for GPUs, none in another."""
    kv_type: KvType | None = None
    """Type of the KV cache's numbers; None: the finest that there is room for."""
    queue_size: int = 64
    """Requests that may wait for a slot."""
    max_wait_s: float = float("inf")
    """Who would wait longer for a slot, by what is known, is refused at once."""
    cache_mib: int = 0
    """Host memory for beginnings of prompts and for checkpoints, in MiB."""
    state_dir: Path | None = None
    """Folder that they are saved to when the engine stops, and loaded from when it starts."""
    state_key: bytes = b""
    """Secret by which what is saved is encrypted; empty: it is not."""
    speculation: Literal["auto", "off"] = "auto"
    """Guess what comes next by what stands in the prompt, and check it, where that pays."""
    draft_model: Path | None = None
    """A small model that guesses, too."""


DEFAULT_CONTEXT = 8192


def sequences(n_slots: int, *, fim: bool) -> int:
    """Sequences of a context with so many slots: one for autocomplete, where the model has it, and one for copying."""
    return n_slots + int(fim) + 1


def physical_cores() -> int:
    """Physical cores that this process may use: hyperthreads only slow matrix products down."""
    if not hasattr(os, "sched_getaffinity"):
        return max(1, os.cpu_count() or 1)
    cores: set[str] = set()
    for cpu in os.sched_getaffinity(0):
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
            cores.add(siblings.read_text(encoding="ascii").strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, len(cores))
