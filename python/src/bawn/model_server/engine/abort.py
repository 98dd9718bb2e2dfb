"""Ending a decode step that nobody waits for any more."""

import ctypes
from typing import Any, Final

import llama_cpp.llama_cpp as llama

_LIBC: Final = ctypes.CDLL(None)


class Abort:
    """A flag that llama.cpp looks at between the operations of a decode step, where it computes on the CPU.

    It asks a function of C for it, some hundred times a step. One in Python would have to wait for the interpreter's
    lock each time; `strlen` needs none, and of a text of one character or none it says just 1 or 0.
    """

    def __init__(self, context: Any) -> None:
        self._text = ctypes.create_string_buffer(2)
        # Of this type's many names in C, llama-cpp-python wants its own.
        self._asked: Any = ctypes.cast(_LIBC.strlen, llama.ggml_abort_callback)
        llama.llama_set_abort_callback(context, self._asked, ctypes.cast(self._text, ctypes.c_void_p))

    def set(self, wanted: bool) -> None:
        """End steps, or let them run."""
        self._text[0] = b"\x01" if wanted else b"\x00"
