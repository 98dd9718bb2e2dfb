"""Embedding models of some hundred kilobytes with random weights, written in milliseconds."""

import string
from pathlib import Path
from typing import Final

import gguf
import numpy as np

SIZE: Final = 32
"""Numbers of a vector."""
CLS: Final = 2
SEP: Final = 3

_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHARACTERS: Final = string.ascii_lowercase + string.digits + string.punctuation
VOCABULARY: Final = len(_SPECIAL) + 2 * len(_CHARACTERS)


def write(
    path: Path,
    *,
    pooling: gguf.PoolingType | None = gguf.PoolingType.MEAN,
    n_ctx: int = 512,
    name: str = "tiny-embedder",
    seed: int = 7,
) -> Path:
    """Write a model of architecture bert, as bge and all-MiniLM are.

    A token is a character, case apart; a text gets `[CLS]` before it and `[SEP]` after it.
    """
    writer = gguf.GGUFWriter(path, "bert")
    n_layer, n_head, n_ff = 2, 4, 64
    # WordPiece as GGUF has it: what begins a word is marked, what goes on with one is not.
    names = [*_SPECIAL, *("▁" + character for character in _CHARACTERS), *_CHARACTERS]
    writer.add_name(name)
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(SIZE)
    writer.add_block_count(n_layer)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(n_head)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.add_vocab_size(len(names))
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(names)
    writer.add_token_types(
        [gguf.TokenType.CONTROL] * len(_SPECIAL) + [gguf.TokenType.NORMAL] * (len(names) - len(_SPECIAL))
    )
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(CLS)
    writer.add_sep_token_id(SEP)
    writer.add_mask_token_id(4)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(names), SIZE),
        "token_types.weight": (2, SIZE),
        "position_embd.weight": (n_ctx, SIZE),
        "token_embd_norm.weight": (SIZE,),
        "token_embd_norm.bias": (SIZE,),
    }
    for layer in range(n_layer):
        block: dict[str, tuple[int, ...]] = {f"attn_{part}.weight": (SIZE, SIZE) for part in ("q", "k", "v", "output")}
        block |= {f"attn_{part}.bias": (SIZE,) for part in ("q", "k", "v", "output")}
        block |= {"ffn_up.weight": (n_ff, SIZE), "ffn_up.bias": (n_ff,)}
        block |= {"ffn_down.weight": (SIZE, n_ff), "ffn_down.bias": (SIZE,)}
        for norm in ("attn_output_norm", "layer_output_norm"):
            block |= {f"{norm}.weight": (SIZE,), f"{norm}.bias": (SIZE,)}
        shapes |= {f"blk.{layer}.{part}": shape for part, shape in block.items()}
    random = np.random.default_rng(seed)
    for part, shape in shapes.items():
        values = random.normal(1.0 if "norm.weight" in part else 0.0, 1.5 / np.sqrt(shape[-1]), shape)
        writer.add_tensor(part, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
