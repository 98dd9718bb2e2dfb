"""The few functions of ggml, llama.cpp's tensor library, that tell about devices and run a graph on one.

llama-cpp-python declares `llama.h` only. The symbols are those of the very libraries that it has loaded (also where
`LLAMA_CPP_LIB_PATH` names others): a lookup in libllama goes through the libraries that it stands on.
"""

import ctypes
import functools
from typing import Any, Final

import llama_cpp.llama_cpp as llama

CPU, GPU, INTEGRATED_GPU = 0, 1, 2
"""`enum ggml_backend_dev_type`."""
F32, Q8_0 = 0, 8
"""`enum ggml_type`."""

_SIGNATURES: Final = {
    # name: (result, arguments); `c_void_p` is an opaque handle
    "ggml_backend_reg_count": (ctypes.c_size_t, []),
    "ggml_backend_reg_get": (ctypes.c_void_p, [ctypes.c_size_t]),
    "ggml_backend_reg_name": (ctypes.c_char_p, [ctypes.c_void_p]),
    "ggml_backend_dev_count": (ctypes.c_size_t, []),
    "ggml_backend_dev_get": (ctypes.c_void_p, [ctypes.c_size_t]),
    "ggml_backend_dev_by_name": (ctypes.c_void_p, [ctypes.c_char_p]),
    "ggml_backend_dev_name": (ctypes.c_char_p, [ctypes.c_void_p]),
    "ggml_backend_dev_description": (ctypes.c_char_p, [ctypes.c_void_p]),
    "ggml_backend_dev_type": (ctypes.c_int, [ctypes.c_void_p]),
    "ggml_backend_dev_memory": (
        None,
        [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)],
    ),
    "ggml_backend_dev_init": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "ggml_backend_free": (None, [ctypes.c_void_p]),
    "ggml_backend_alloc_ctx_tensors": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]),
    "ggml_backend_buffer_free": (None, [ctypes.c_void_p]),
    "ggml_backend_tensor_set": (None, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]),
    "ggml_backend_tensor_get": (None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]),
    "ggml_backend_graph_compute": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    "ggml_new_tensor_2d": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]),
    "ggml_mul_mat": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
    "ggml_new_graph": (ctypes.c_void_p, [ctypes.c_void_p]),
    "ggml_build_forward_expand": (None, [ctypes.c_void_p, ctypes.c_void_p]),
    "ggml_tensor_overhead": (ctypes.c_size_t, []),
    "ggml_graph_overhead": (ctypes.c_size_t, []),
    "ggml_free": (None, [ctypes.c_void_p]),
}


class InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


@functools.cache
def ggml() -> Any:
    """ggml's functions as attributes, typed."""
    functions = type("Ggml", (), {})()
    library = llama._lib  # pyright: ignore[reportPrivateUsage] - its handle on libllama; there is no public one
    for name, (result, arguments) in {**_SIGNATURES, "ggml_init": (ctypes.c_void_p, [InitParams])}.items():
        # A fresh function object: llama-cpp-python may declare the same symbol its own way.
        function = ctypes.CFUNCTYPE(result, *arguments)((name, library))
        setattr(functions, name, function)
    return functions
