"""llama.cpp's own log: counted, and kept back from every output, since its lines are not under our control."""

import ctypes
import functools
import logging

import llama_cpp.llama_cpp as llama

from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server.engine")

_WARN, _ERROR = 2, 3


class NativeLog:
    """Counts llama.cpp's warnings and errors and keeps the last error line, which explains a failed load."""

    def __init__(self) -> None:
        self.warnings = 0
        self.errors = 0
        self.last_error = ""
        # ctypes does not keep the callback alive; this attribute does.
        self._callback = llama.llama_log_callback(self._take)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes | None, _: object) -> None:
        if level == _ERROR:
            self.errors += 1
            self.last_error = (text or b"").decode("utf-8", "replace").strip() or self.last_error
            # The text stays out of the log: after the load it may hold pieces of what clients sent.
            event(_log, "llama_error", level=logging.WARNING, count=self.errors)
        elif level == _WARN:
            self.warnings += 1


@functools.cache
def native_log() -> NativeLog:
    """The process-wide log sink: llama.cpp has one logger a process, and calls it until the process ends."""
    return NativeLog()
