"""GGUF models of a few hundred kilobytes, written in milliseconds: for tests that need an engine, not an answer.

The vocabulary is byte-level BPE without useful merges, so that every text is one token a byte and comes back as it was.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import gguf
import numpy as np

END: Final = 256
"""`<|endoftext|>`, which ends a generation."""
IM_START: Final = 257
IM_END: Final = 258
FIM: Final = (259, 260, 261)
"""Prefix, suffix, middle."""
SIZE: Final = 288

CHATML: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

ALPHABET: Final = dict(zip(b"abcdefghijklmnopqrstuvwxyz", b"bcdefghijklmnopqrstuvwxyza", strict=True))
"""Successors that go round the alphabet for ever."""


def says(text: bytes, *, after: bytes = b"\n") -> dict[int, int]:
    """Successors of a model that says `text` after a prompt that ends with `after`; no byte may come twice."""
    chain = [after[-1], *text, END]
    assert len(set(chain)) == len(chain), "a successor depends on one byte: each byte can come once"
    return dict(itertools.pairwise(chain))


def write(
    path: Path,
    *,
    successors: Mapping[int, int] | None = None,
    template: str | None = CHATML,
    fim: bool = False,
    n_ctx: int = 2048,
    name: str = "tiny",
    seed: int = 7,
    pooling: gguf.PoolingType | None = None,
) -> Path:
    """Write a model of architecture llama to `path`.

    With `successors` the next token depends on the last one alone (every other token is followed by "a"), so the
    answer is known; without, the weights are random and every token depends on all before it. With `pooling` it is one
    that embeds.
    """
    writer = gguf.GGUFWriter(path, "llama")
    n_embd, n_head, n_ff = (SIZE, 9, 32) if successors is not None else (64, 2, 96)
    n_layer = 1 if successors is not None else 2
    writer.add_name(name)
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(n_embd)
    writer.add_block_count(n_layer)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(n_head)
    writer.add_head_count_kv(n_head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(n_embd // n_head)
    writer.add_vocab_size(SIZE)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    _add_vocabulary(writer, template, fim=fim)
    random = np.random.default_rng(seed)

    def tensor(name: str, *shape: int, zero: bool = False) -> None:
        values = np.zeros(shape) if zero else random.normal(0, 0.6 / np.sqrt(shape[-1]) * 2, shape)
        writer.add_tensor(name, values.astype(np.float32))

    if successors is not None:
        follow = np.zeros((SIZE, SIZE), np.float32)
        for token in range(SIZE):
            follow[successors.get(token, ord("a")), token] = 4.0
        writer.add_tensor("token_embd.weight", np.eye(SIZE, dtype=np.float32))
        writer.add_tensor("output.weight", follow)
    else:
        tensor("token_embd.weight", SIZE, n_embd)
        tensor("output.weight", SIZE, n_embd)
    writer.add_tensor("output_norm.weight", np.ones(n_embd, np.float32))
    silent = successors is not None
    for layer in range(n_layer):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(n_embd, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{layer}.{part}.weight", n_embd, n_embd, zero=silent)
        tensor(f"blk.{layer}.ffn_gate.weight", n_ff, n_embd, zero=silent)
        tensor(f"blk.{layer}.ffn_up.weight", n_ff, n_embd, zero=silent)
        tensor(f"blk.{layer}.ffn_down.weight", n_embd, n_ff, zero=silent)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_recurrent(path: Path, *, seed: int = 7) -> Path:
    """Write a random model of architecture mamba, whose state can't be cut back to an earlier position."""
    writer = gguf.GGUFWriter(path, "mamba")
    n_embd, n_inner, n_state, n_rank, n_kernel = 64, 128, 16, 4, 4
    writer.add_name("recurrent")
    writer.add_context_length(2048)
    writer.add_embedding_length(n_embd)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(2)
    writer.add_ssm_conv_kernel(n_kernel)
    writer.add_ssm_inner_size(n_inner)
    writer.add_ssm_state_size(n_state)
    writer.add_ssm_time_step_rank(n_rank)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(SIZE)
    _add_vocabulary(writer, CHATML, fim=False)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (SIZE, n_embd),
        "output.weight": (SIZE, n_embd),
        "output_norm.weight": (n_embd,),
    }
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (n_embd,),
            f"blk.{layer}.ssm_in.weight": (2 * n_inner, n_embd),
            f"blk.{layer}.ssm_conv1d.weight": (n_inner, n_kernel),
            f"blk.{layer}.ssm_conv1d.bias": (n_inner,),
            f"blk.{layer}.ssm_x.weight": (n_rank + 2 * n_state, n_inner),
            f"blk.{layer}.ssm_dt.weight": (n_inner, n_rank),
            f"blk.{layer}.ssm_dt.bias": (n_inner,),
            f"blk.{layer}.ssm_a": (n_inner, n_state),
            f"blk.{layer}.ssm_d": (n_inner,),
            f"blk.{layer}.ssm_out.weight": (n_embd, n_inner),
        }
    _add_random(writer, shapes, seed)
    return path


def write_windowed(path: Path, *, seed: int = 7, window: int = 64) -> Path:
    """Write a random model of architecture gemma3: of six layers five see the last `window` tokens only."""
    writer = gguf.GGUFWriter(path, "gemma3")
    n_embd, n_head, length, n_ff = 64, 2, 32, 96
    writer.add_name("windowed")
    writer.add_context_length(4096)
    writer.add_embedding_length(n_embd)
    writer.add_block_count(6)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(n_head)
    writer.add_head_count_kv(1)
    writer.add_key_length(length)
    writer.add_value_length(length)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_sliding_window(window)
    writer.add_vocab_size(SIZE)
    _add_vocabulary(writer, CHATML, fim=False)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (SIZE, n_embd), "output.weight": (SIZE, n_embd), "output_norm.weight": (n_embd,),
    }  # fmt: skip
    for layer in range(6):
        block = {
            "attn_norm": (n_embd,), "post_attention_norm": (n_embd,), "ffn_norm": (n_embd,), "post_ffw_norm": (n_embd,),
            "attn_q_norm": (length,), "attn_k_norm": (length,),
            "attn_q": (n_head * length, n_embd), "attn_k": (length, n_embd), "attn_v": (length, n_embd),
            "attn_output": (n_embd, n_head * length),
            "ffn_gate": (n_ff, n_embd), "ffn_up": (n_ff, n_embd), "ffn_down": (n_embd, n_ff),
        }  # fmt: skip
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
    _add_random(writer, shapes, seed)
    return path


def write_hybrid(path: Path, *, seed: int = 7, n_ctx: int = 4096, fim: bool = False) -> Path:
    """Write a random model of architecture qwen35: of four layers three are recurrent, as in Qwen3.5 and 3.6."""
    writer = gguf.GGUFWriter(path, "qwen35")
    n_embd, n_head, n_kv, length, n_ff = 64, 4, 2, 32, 96
    state, groups, rank, kernel = 16, 2, 4, 4
    writer.add_name("hybrid")
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(n_embd)
    writer.add_block_count(4)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(n_head)
    writer.add_head_count_kv(n_kv)
    writer.add_key_length(length)
    writer.add_value_length(length)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(length)
    writer.add_array("qwen35.rope.dimension_sections", [4, 2, 2, 0])
    writer.add_vocab_size(SIZE)
    ssm = {"conv_kernel": kernel, "inner_size": state * rank, "state_size": state, "time_step_rank": rank}
    for key, value in {**ssm, "group_count": groups}.items():
        writer.add_uint32(f"qwen35.ssm.{key}", value)
    writer.add_uint32("qwen35.full_attention_interval", 4)
    _add_vocabulary(writer, CHATML, fim=fim)
    keys, values = state * groups, state * rank
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (SIZE, n_embd),
        "output.weight": (SIZE, n_embd),
        "output_norm.weight": (n_embd,),
    }
    for layer in range(4):
        block: dict[str, tuple[int, ...]] = {
            "attn_norm.weight": (n_embd,),
            "post_attention_norm.weight": (n_embd,),
            "ffn_gate.weight": (n_ff, n_embd),
            "ffn_up.weight": (n_ff, n_embd),
            "ffn_down.weight": (n_embd, n_ff),
        }
        if layer == 3:
            block |= {
                "attn_q.weight": (2 * n_head * length, n_embd),
                "attn_k.weight": (n_kv * length, n_embd),
                "attn_v.weight": (n_kv * length, n_embd),
                "attn_output.weight": (n_embd, n_head * length),
                "attn_q_norm.weight": (length,),
                "attn_k_norm.weight": (length,),
            }
        else:
            block |= {
                "attn_qkv.weight": (2 * keys + values, n_embd),
                "attn_gate.weight": (values, n_embd),
                "ssm_conv1d.weight": (2 * keys + values, kernel),
                "ssm_dt.bias": (rank,),
                "ssm_a": (rank,),
                "ssm_beta.weight": (rank, n_embd),
                "ssm_alpha.weight": (rank, n_embd),
                "ssm_norm.weight": (state,),
                "ssm_out.weight": (n_embd, values),
            }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    _add_random(writer, shapes, seed)
    return path


def _add_random(writer: gguf.GGUFWriter, shapes: Mapping[str, tuple[int, ...]], seed: int) -> None:
    """Write random tensors, and close the file."""
    random = np.random.default_rng(seed)
    for name, shape in shapes.items():
        values = random.normal(0, 1.2 / np.sqrt(shape[-1]), shape)
        if "norm" in name:
            values = np.ones(shape)
        elif name.endswith("ssm_a"):
            values = -np.abs(values) - 0.1  # a state that fades
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _byte_names() -> list[str]:
    """GPT-2's printable name of each byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def _add_vocabulary(writer: gguf.GGUFWriter, template: str | None, *, fim: bool) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    special += ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"] if fim else []
    names = [*_byte_names(), *special]
    unused = [f"<unused{number}>" for number in range(SIZE - len(names))]
    kinds = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * len(special)
    kinds += [gguf.TokenType.UNUSED] * len(unused)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(names + unused)
    writer.add_token_types(kinds)
    # The format wants merges; these join bytes that no UTF-8 text has side by side.
    writer.add_token_merges([f"{_byte_names()[255]} {_byte_names()[255]}"])
    writer.add_bos_token_id(END)
    writer.add_eos_token_id(END)
    writer.add_eot_token_id(IM_END)
    writer.add_add_bos_token(False)
    if fim:
        for key, token in zip(("pre", "suf", "mid"), FIM, strict=True):
            writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", token)
    if template is not None:
        writer.add_chat_template(template)
