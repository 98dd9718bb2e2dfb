"""GGUF models of a given shape and no content: zeros, for tests of what llama.cpp allocates for them."""

import math
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np

VOCABULARY: Final = 512

PLAIN: Final[dict[str, Any]] = {"layers": 4, "embd": 256, "ff": 512, "heads": 8, "kv_heads": 2, "length": 32}
GATED_DELTA: Final[dict[str, Any]] = {
    **PLAIN,
    "layers": 8,
    "ssm": {"conv_kernel": 4, "inner_size": 1024, "state_size": 128, "time_step_rank": 8, "group_count": 4},
}


EXPERTS: Final[dict[str, Any]] = {"count": 16, "used": 4, "ff": 256, "shared": 0}
HYBRIDS: Final = {"qwen35", "qwen35moe"}


def write(
    path: Path,
    architecture: str,
    *,
    trained: int = 32768,
    tied: bool = False,
    data: bool = True,
    split_tensors: int = 0,
    **shape: Any,
) -> Path:
    """Write a model of `architecture`.

    With `data=False` only its header, as after the first bytes of a download; with `split_tensors` into several files
    of so many tensors each.
    """
    of = {**(GATED_DELTA if architecture in HYBRIDS else PLAIN), **shape}
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=split_tensors)
    writer.add_name(f"Shaped {architecture}")
    writer.add_context_length(trained)
    writer.add_embedding_length(of["embd"])
    writer.add_block_count(of["layers"])
    writer.add_feed_forward_length(of["ff"])
    writer.add_head_count(of["heads"])
    writer.add_head_count_kv(of["kv_heads"])
    writer.add_key_length(of["length"])
    writer.add_value_length(of["length"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(of.get("rope", of["length"]))
    if "file_type" in of:
        writer.add_file_type(of["file_type"])
    if "experts" in of:
        writer.add_expert_count(of["experts"]["count"])
        writer.add_expert_used_count(of["experts"]["used"])
        writer.add_expert_feed_forward_length(of["experts"]["ff"])
        writer.add_expert_shared_feed_forward_length(of["experts"]["shared"])
    if "window" in of:
        writer.add_sliding_window(of["window"])
    if "ssm" in of:
        for key, value in of["ssm"].items():
            writer.add_uint32(f"{architecture}.ssm.{key}", value)
        writer.add_uint32(f"{architecture}.full_attention_interval", of.get("interval", 4))
        quarter = of["length"] // 4
        writer.add_array(f"{architecture}.rope.dimension_sections", [quarter // 2, quarter // 4, quarter // 4, 0])
    _vocabulary(writer, of.get("vocabulary", VOCABULARY))
    for name, numbers in _tensors(architecture, of, tied=tied).items():
        kind = of["type"] if "type" in of and len(numbers) > 1 and name != "conv" else gguf.GGMLQuantizationType.F32
        _add(writer, name, numbers, kind, data=data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    if data:
        writer.write_tensors_to_file()
    else:
        writer.write_ti_data_to_file()
    writer.close()
    return path


def _add(
    writer: gguf.GGUFWriter, name: str, numbers: tuple[int, ...], kind: gguf.GGMLQuantizationType, *, data: bool
) -> None:
    if data:
        writer.add_tensor(name, np.zeros(numbers, np.float32))
        return
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows = (*numbers[:-1], numbers[-1] // block * size)
    plain = {gguf.GGMLQuantizationType.F32: np.float32}.get(kind)
    if plain is not None:
        writer.add_tensor_info(name, numbers, np.dtype(plain), math.prod(numbers) * 4)
    else:
        writer.add_tensor_info(name, rows, np.dtype(np.uint8), math.prod(rows), raw_dtype=kind)


def _tensors(architecture: str, of: dict[str, Any], *, tied: bool) -> dict[str, tuple[int, ...]]:
    """Shapes as numpy has them: the length of a row last."""
    embd, ff = of["embd"], of["ff"]
    q, kv = of["heads"] * of["length"], of["kv_heads"] * of["length"]
    vocabulary = of.get("vocabulary", VOCABULARY)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, embd), "output_norm.weight": (embd,)}
    if not tied:
        shapes["output.weight"] = (vocabulary, embd)
    for index in range(of["layers"]):
        block: dict[str, tuple[int, ...]] = {"attn_norm.weight": (embd,)}
        if "experts" in of:
            block |= _experts(architecture, embd, of["experts"])
        else:
            block |= {"ffn_gate.weight": (ff, embd), "ffn_up.weight": (ff, embd), "ffn_down.weight": (embd, ff)}
        if architecture in HYBRIDS and (index + 1) % of.get("interval", 4):
            block |= _gated_delta(embd, of["ssm"])
        else:
            block |= {
                "attn_q.weight": (q * (2 if architecture in HYBRIDS else 1), embd),
                "attn_k.weight": (kv, embd),
                "attn_v.weight": (kv, embd),
                "attn_output.weight": (embd, q),
            }
            if architecture in {"qwen3", "qwen3moe", "gemma3", *HYBRIDS}:
                block |= {"attn_q_norm.weight": (of["length"],), "attn_k_norm.weight": (of["length"],)}
            if architecture in {"qwen2", "gpt-oss"}:
                block |= {"attn_q.bias": (q,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
            if architecture == "gpt-oss":
                block |= {"attn_output.bias": (embd,), "attn_sinks.weight": (of["heads"],)}
        norms = ["post_attention_norm"] if architecture in {*HYBRIDS, "gpt-oss"} else ["ffn_norm"]
        norms += ["post_attention_norm", "post_ffw_norm"] if architecture == "gemma3" else []
        block |= {f"{norm}.weight": (embd,) for norm in norms}
        shapes |= {f"blk.{index}.{name}": numbers for name, numbers in block.items()}
    return shapes


def _experts(architecture: str, embd: int, experts: dict[str, int]) -> dict[str, tuple[int, ...]]:
    count, ff, shared = experts["count"], experts["ff"], experts["shared"]
    block: dict[str, tuple[int, ...]] = {
        "ffn_gate_inp.weight": (count, embd),
        "ffn_gate_exps.weight": (count, ff, embd),
        "ffn_up_exps.weight": (count, ff, embd),
        "ffn_down_exps.weight": (count, embd, ff),
    }
    if shared:
        block |= {
            "ffn_gate_inp_shexp.weight": (embd,),
            "ffn_gate_shexp.weight": (shared, embd),
            "ffn_up_shexp.weight": (shared, embd),
            "ffn_down_shexp.weight": (embd, shared),
        }
    if architecture == "gpt-oss":
        block |= {"ffn_gate_inp.bias": (count,), "ffn_gate_exps.bias": (count, ff), "ffn_up_exps.bias": (count, ff)}
        block |= {"ffn_down_exps.bias": (count, embd)}
    return block


def _gated_delta(embd: int, ssm: dict[str, int]) -> dict[str, tuple[int, ...]]:
    keys, values = ssm["state_size"] * ssm["group_count"], ssm["state_size"] * ssm["time_step_rank"]
    heads = ssm["time_step_rank"]
    return {
        "attn_qkv.weight": (2 * keys + values, embd),
        "attn_gate.weight": (values, embd),
        "ssm_conv1d.weight": (2 * keys + values, ssm["conv_kernel"]),
        "ssm_dt.bias": (heads,),
        "ssm_a": (heads,),
        "ssm_beta.weight": (heads, embd),
        "ssm_alpha.weight": (heads, embd),
        "ssm_norm.weight": (ssm["state_size"],),
        "ssm_out.weight": (embd, values),
    }


def _vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """Letters, in the byte-level BPE that needs nothing else."""
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{number}" for number in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
