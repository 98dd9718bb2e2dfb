"""One tiny matrix product with the build's own kernels, whose result is known.

A build without code for the card, or a driver that is broken, shows here and not in the first answer. The weights are
Q8_0, as models' are: one column goes through the kernel that decodes, sixteen through the one that prefills.
"""

import contextlib
import ctypes
import struct
from typing import Final

from bawn.model_server.gpu.ggml import F32, Q8_0, InitParams, ggml

ROWS: Final = 32
INNER: Final = 256
"""Columns of the weights: a multiple of Q8_0's block of 32."""
_BLOCK: Final = 32


class KernelError(Exception):
    """A device did not compute what it should have."""


def run_on(name: str) -> None:
    """Multiply on the device `name`.

    Raises:
        KernelError: it can't be used, or the result is wrong. A failing CUDA kernel ends the whole process.
    """
    for columns in (1, 16):
        wrong = _difference(name, columns)
        if wrong:
            raise KernelError(f"{wrong} of {ROWS * columns} numbers of a test product are wrong")


def _weight(row: int, inner: int) -> int:
    return (row * 7 + inner * 3) % 255 - 127


def _activation(column: int, inner: int) -> int:
    # The first is 127, the largest, so that quantising to 8 bits, as kernels do, loses nothing.
    return 127 if inner % _BLOCK == 0 else (column * 5 + inner * 11) % 255 - 127


def _difference(name: str, columns: int) -> int:
    got = _product(name, columns)
    wrong = 0
    for column in range(columns):
        activations = [_activation(column, inner) for inner in range(INNER)]
        for row in range(ROWS):
            expected = sum(_weight(row, inner) * value for inner, value in enumerate(activations))
            # Sums of exact integers; what is left is the rounding of half-precision scales in some kernels.
            wrong += abs(got[column * ROWS + row] - expected) > 1e-3 * abs(expected) + 64
    return wrong


def _product(name: str, columns: int) -> list[float]:
    """Column after column, ROWS numbers each."""
    of = ggml()
    with contextlib.ExitStack() as cleanup:
        backend = of.ggml_backend_dev_init(of.ggml_backend_dev_by_name(name.encode()), None)
        if not backend:
            raise KernelError("the device can't be opened")
        cleanup.callback(of.ggml_backend_free, backend)
        size = of.ggml_tensor_overhead() * 8 + of.ggml_graph_overhead()
        context = of.ggml_init(InitParams(mem_size=size, mem_buffer=None, no_alloc=True))
        cleanup.callback(of.ggml_free, context)
        weights = of.ggml_new_tensor_2d(context, Q8_0, INNER, ROWS)
        activations = of.ggml_new_tensor_2d(context, F32, INNER, columns)
        product = of.ggml_mul_mat(context, weights, activations)
        graph = of.ggml_new_graph(context)
        of.ggml_build_forward_expand(graph, product)
        buffer = of.ggml_backend_alloc_ctx_tensors(context, backend)
        if not buffer:
            raise KernelError("the device has no memory for a few kilobytes")
        cleanup.callback(of.ggml_backend_buffer_free, buffer)
        data = _q8_0_weights()
        of.ggml_backend_tensor_set(weights, data, 0, len(data))
        data = struct.pack(
            f"{INNER * columns}f", *(_activation(column, inner) for column in range(columns) for inner in range(INNER))
        )
        of.ggml_backend_tensor_set(activations, data, 0, len(data))
        status = of.ggml_backend_graph_compute(backend, graph)
        if status != 0:
            raise KernelError(f"computing ended with status {status}")
        result = (ctypes.c_float * (ROWS * columns))()
        of.ggml_backend_tensor_get(product, result, 0, ctypes.sizeof(result))
        return list(result)


def _q8_0_weights() -> bytes:
    """Blocks of 32: a half-precision scale, here 1, and 32 signed bytes."""
    blocks = [
        struct.pack(f"<e{_BLOCK}b", 1.0, *(_weight(row, inner) for inner in range(start, start + _BLOCK)))
        for row in range(ROWS)
        for start in range(0, INNER, _BLOCK)
    ]
    return b"".join(blocks)
