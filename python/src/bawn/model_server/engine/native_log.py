"""llama.cpp's own log: counted, and kept back from every output, since its lines are not under our control.

A few lines of a fixed form are read for their numbers: what lies in whose memory is told nowhere else.
"""

import ctypes
import functools
import logging
import re
from typing import Final

import llama_cpp.llama_cpp as llama

from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server.engine")

_INFO, _WARN, _ERROR = 2, 3, 4
"""`enum ggml_log_level`."""

_BUFFER: Final = re.compile(rb"^\w+: +(\S+) +(model|KV|RS|compute) buffer size = +([\d.]+) MiB")
_OFFLOADED: Final = re.compile(rb"^\w+: offloaded (\d+)/(\d+) layers to GPU")
_CUDA_ERROR: Final = re.compile(rb"^CUDA error: (.+)")
_CUDA_REFUSAL: Final = re.compile(rb"^ggml_cuda_init: failed to initialize CUDA: (.+)")


class NativeLog:
    """Counts llama.cpp's warnings and errors and keeps the last error line, which explains a failed load."""

    def __init__(self) -> None:
        self.warnings = 0
        self.errors = 0
        self.last_error = ""
        self.cuda_refusal = ""
        """What CUDA's runtime said when it could not start: a text of cudaGetErrorString's fixed list."""
        self.forget_sizes()
        # ctypes does not keep the callback alive; this attribute does.
        self._callback = llama.llama_log_callback(self._take)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def forget_sizes(self) -> None:
        """Start over before a load."""
        self.offloaded: tuple[int, int] | None = None
        """Layers on the GPU, and all there are, as the last load reported them."""
        self.buffers: dict[tuple[str, str], float] = {}
        """(what, where) → MiB: what is `model`, `KV`, `RS` (recurrent state) or `compute`, where e.g. `CUDA0`."""

    def mib(self, what: str) -> float:
        """MiB of all buffers of this kind."""
        return sum(size for (kind, _), size in self.buffers.items() if kind == what)

    def gpu_mib(self, what: str) -> float:
        """MiB of those of them that are in a GPU's memory: neither the CPU's nor pinned for a GPU (`CUDA_Host`)."""
        on_host = {where for _, where in self.buffers if where.startswith("CPU") or where.endswith("_Host")}
        return sum(size for (kind, where), size in self.buffers.items() if kind == what and where not in on_host)

    def _take(self, level: int, text: bytes | None, _: object) -> None:
        text = text or b""
        if level == _ERROR:
            self.errors += 1
            self.last_error = text.decode("utf-8", "replace").strip() or self.last_error
            if refusal := _CUDA_REFUSAL.match(text):
                self.cuda_refusal = refusal[1].decode("utf-8", "replace").strip()
            if fatal := _CUDA_ERROR.match(text):
                # The last line of this process, which llama.cpp ends now. The reason is of cudaGetErrorString's list.
                reason = fatal[1].decode("utf-8", "replace").strip()
                event(_log, "cuda_error", level=logging.CRITICAL, reason=reason)
                return
            # The text stays out of the log: after the load it may hold pieces of what clients sent.
            event(_log, "llama_error", level=logging.WARNING, count=self.errors)
        elif level == _WARN:
            self.warnings += 1
        elif level == _INFO:
            self._read_sizes(text)

    def _read_sizes(self, text: bytes) -> None:
        if found := _BUFFER.match(text):
            where, what, mib = found[1].decode(), found[2].decode(), float(found[3])
            # A model, and a cache of two kinds of layers, has several buffers in one place; the rest is said anew.
            before = self.buffers.get((what, where), 0.0) if what in {"model", "KV"} else 0.0
            self.buffers[what, where] = before + mib
        elif found := _OFFLOADED.match(text):
            self.offloaded = int(found[1]), int(found[2])


@functools.cache
def native_log() -> NativeLog:
    """The process-wide log sink: llama.cpp has one logger a process, and calls it until the process ends."""
    return NativeLog()
