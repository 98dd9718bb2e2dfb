"""What a model's weights would take in another quantisation: its tensors again, in the types that llama.cpp picks.

The rules are those of llama-quant.cpp (`llama_tensor_get_type_impl`) for llama-cpp-python 0.3.36, without an importance
matrix; the tests compare with files that llama.cpp itself quantises. They remain estimates: who quantises a model may
choose otherwise, tensor by tensor. Left out is what moves a size by less than a hundredth (Falcon, 8 experts, 70B).
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from bawn.model_server.planner.gguf_header import BLOCKS, Header, Tensor, bytes_of

QUANTISATIONS: Final = {
    "F16": "F16",
    "Q8_0": "Q8_0",
    "Q6_K": "Q6_K",
    "Q5_K_M": "Q5_K",
    "Q4_K_M": "Q4_K",
    "IQ4_XS": "IQ4_XS",
    "Q3_K_M": "Q3_K",
}
"""Those that are offered for comparison → the type that most of their tensors have."""

FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
}  # fmt: skip
"""`enum llama_ftype`, which a file names under `general.file_type`."""

_FALLBACKS: Final = {"IQ4_XS": "IQ4_NL", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""Types in blocks of 256 → what rows get that are no multiple of that."""
_KEPT: Final = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|ssm_conv1d|shortconv\.conv\.weight|altup|laurel|per_layer_model_proj|"
    r"^(position_embd|token_types)\.weight"
)
"""Matrices that keep their type whatever the quantisation."""
_LAYER: Final = re.compile(r"blk\.(\d+)\.")
_VALUES: Final = re.compile(r"attn_(v|qkv|kv_b)\.weight")


def quantisation_of(header: Header) -> str:
    """What the file says of itself or, where it is silent, the type that most of its bytes have."""
    told = header.metadata.get("general.file_type")
    if isinstance(told, int) and told in FILE_TYPES:
        return FILE_TYPES[told]
    sizes: dict[str, int] = {}
    for tensor in header.tensors:
        sizes[tensor.kind] = sizes.get(tensor.kind, 0) + tensor.size
    return max(sizes, key=lambda kind: sizes[kind], default="unknown")


def requantised(header: Header, quantisation: str) -> Header:
    """The header of the same model in one of `QUANTISATIONS`."""
    kind_of = _rule(header, quantisation)
    tensors = [
        msgspec.structs.replace(tensor, kind=kind, size=bytes_of(tensor.shape, kind))
        for tensor in header.tensors
        for kind in [kind_of(tensor) if _quantised(tensor) else tensor.kind]
    ]
    number = next(number for number, name in FILE_TYPES.items() if name == quantisation)
    return Header(metadata={**header.metadata, "general.file_type": number}, tensors=tensors, missing=0)


def _quantised(tensor: Tensor) -> bool:
    """Whether it has a quantisation's type: norms, biases, routers and convolutions keep theirs."""
    matrix = any(length > 1 for length in tensor.shape[1:])
    return matrix and tensor.name.endswith("weight") and not _KEPT.search(tensor.name)


def _rule(header: Header, quantisation: str) -> Callable[[Tensor], str]:
    base = QUANTISATIONS[quantisation]
    if base == "F16":
        return lambda _: base
    architecture = header.metadata.get("general.architecture", "")
    layers = _number(header, f"{architecture}.block_count")
    heads, kv_heads = (_number(header, f"{architecture}.attention.head_count{of}") for of in ("", "_kv"))
    tied = all(tensor.name != "output.weight" for tensor in header.tensors)
    with_values = sorted({_layer(tensor) for tensor in header.tensors if _VALUES.search(tensor.name)})
    order = {layer: index for index, layer in enumerate(with_values)}

    def finer(tensor: Tensor) -> str:
        name, layer = tensor.name, _layer(tensor)
        if name == "output.weight" or (tied and name == "token_embd.weight"):
            return "Q8_0" if tensor.shape[0] % BLOCKS[base][0] or base == "Q8_0" else "Q6_K"
        if _VALUES.search(name):
            return _of_values(quantisation, order[layer], len(order), kv_heads and heads // kv_heads) or base
        if "ffn_down" in name:
            return _of_ffn_down(quantisation, layer, layers) or base
        return "Q4_K" if quantisation == "Q3_K_M" and "attn_output.weight" in name else base

    return lambda tensor: _with_whole_blocks(finer(tensor), tensor.shape[0])


def _of_values(quantisation: str, index: int, count: int, heads_per_value: int) -> str | None:
    if quantisation == "Q3_K_M":
        return "Q5_K" if index < 2 else "Q4_K"
    if quantisation == "IQ4_XS" and heads_per_value >= 4:
        return "Q5_K"
    return "Q6_K" if quantisation in {"Q4_K_M", "Q5_K_M"} and _more_bits(index, count) else None


def _of_ffn_down(quantisation: str, layer: int, layers: int) -> str | None:
    if quantisation == "Q3_K_M":
        return "Q5_K" if layer < layers // 16 else "Q4_K"
    if quantisation == "IQ4_XS" and layer < layers // 8:
        return "Q5_K"
    return "Q6_K" if quantisation in {"Q4_K_M", "Q5_K_M"} and _more_bits(layer, layers) else None


def _more_bits(layer: int, layers: int) -> bool:
    """The first and the last eighth, and every third layer between them."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _with_whole_blocks(kind: str, row: int) -> str:
    if row % BLOCKS[kind][0] == 0:
        return kind
    smaller = _FALLBACKS.get(kind, kind)
    return smaller if row % BLOCKS[smaller][0] == 0 else "F16"


def _layer(tensor: Tensor) -> int:
    found = _LAYER.match(tensor.name)
    return int(found[1]) if found else 0


def _number(header: Header, key: str) -> int:
    """A number of the header; of one for each layer the first; 0 where there is none."""
    found = header.metadata.get(key, 0)
    if isinstance(found, list):
        found = found[0] if found else 0
    return found if isinstance(found, int) else 0
