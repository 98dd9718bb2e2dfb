"""A model that rewrites one file with one change, word for word: what a capable model does, at a small one's cost.

SmolLM2 can't: it loses the thread after some lines. This model has its shape, so that a token takes as long, but its
layers are zeros, and its last matrix knows of each token what comes next. No token comes twice in the file, so that is
enough; each line ends with a token of its own.
"""

import hashlib
import random
from pathlib import Path
from typing import Final

import gguf
import msgspec
import numpy as np

from bench.model.models import real
from bench.model.plan import tokenizer
from bench.peers.environment import KEPT

LINES: Final = 200
WORDS: Final = 8
LINE_TOKENS: Final = WORDS + 1
_CHANGED: Final = LINES // 8
"""Where the change is; early, for it is to come in a short try, too."""
_START: Final = "# The same file, with the change:\n"
_EMBEDDING, _LAYERS, _HEADS, _KV_HEADS, _LENGTH, _FEED_FORWARD = 576, 30, 9, 3, 64, 1536
_SURE: Final = 20.0
"""The logit of the next token, when all others' are about 0."""


class File(msgspec.Struct, frozen=True):
    """A file before and after its change, as texts and as the tokens of the latter."""

    prompt: str
    """All of it before the change, and the request to write it again."""
    answer: str
    tokens: list[str]


def file() -> File:
    """The file; every word is one token of SmolLM2's."""
    vocabulary = tokenizer()
    known = (vocabulary.piece(token).decode("utf-8", "replace") for token in range(1000, vocabulary.size))
    words = [text for text in known if len(text) > 4 and text[0] == " " and text[1:].isascii() and text[1:].islower()]
    words = [word for word in words if word[1:].isalpha()]
    random.Random(5).shuffle(words)
    lines = [[*words[at * WORDS : (at + 1) * WORDS], f" #{at:03}\n"] for at in range(LINES)]
    before = list(lines)
    before[_CHANGED] = [*lines[_CHANGED][:3], *words[-2:], *lines[_CHANGED][5:]]
    tokens = [token for line in lines for token in line]
    return File("".join(token for line in before for token in line) + _START, "".join(tokens), tokens)


def model() -> Path:
    """The model; it is kept, and written again when this file has changed."""
    mark = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = KEPT / "bench" / "models" / f"copying-{mark}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        _write(part, file().tokens)
        part.rename(path)
    return path


def _write(path: Path, chain: list[str]) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("bench copying")
    writer.add_context_length(8192)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_LENGTH)
    size = _tokenizer(writer, own := [_START, *(token for token in chain if token.endswith("\n"))])
    ids = {token: size - len(own) + at for at, token in enumerate(own)}
    vocabulary = tokenizer()
    for token in chain:
        if token not in ids:
            (ids[token],) = vocabulary.tokens(token, special=False, begin=False)
    embedding = np.random.default_rng(7).normal(0, 1, (size, _EMBEDDING)).astype(np.float32)
    follow = np.zeros((size, _EMBEDDING), np.float32)
    for token, after in zip([_START, *chain], [*chain, _START], strict=True):
        follow[ids[after]] = embedding[ids[token]] * (_SURE / _EMBEDDING)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, values in (("token_embd", embedding), ("output", follow)):
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("output_norm.weight", np.ones(_EMBEDDING, np.float32))
    queries, values = _HEADS * _LENGTH, _KV_HEADS * _LENGTH
    for layer in range(_LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(_EMBEDDING, np.float32))
        _zeros(writer, f"blk.{layer}.attn_q.weight", queries, _EMBEDDING)
        _zeros(writer, f"blk.{layer}.attn_k.weight", values, _EMBEDDING)
        _zeros(writer, f"blk.{layer}.attn_v.weight", values, _EMBEDDING)
        _zeros(writer, f"blk.{layer}.attn_output.weight", _EMBEDDING, queries)
        _zeros(writer, f"blk.{layer}.ffn_gate.weight", _FEED_FORWARD, _EMBEDDING)
        _zeros(writer, f"blk.{layer}.ffn_up.weight", _FEED_FORWARD, _EMBEDDING)
        _zeros(writer, f"blk.{layer}.ffn_down.weight", _EMBEDDING, _FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _zeros(writer: gguf.GGUFWriter, name: str, rows: int, columns: int) -> None:
    """In the quantisation that SmolLM2's matrices have."""
    kind = gguf.GGMLQuantizationType.Q4_1
    block, length = gguf.GGML_QUANT_SIZES[kind]
    writer.add_tensor(name, np.zeros((rows, columns // block * length), np.uint8), raw_dtype=kind)


def _tokenizer(writer: gguf.GGUFWriter, own: list[str]) -> int:
    """SmolLM2's tokens and `own` after them, which are recognised before the text is split. Returns how many."""
    size = 0
    for name, field in gguf.GGUFReader(real()).fields.items():
        if not name.startswith("tokenizer.ggml."):
            continue
        kind, *of = field.types
        value = field.contents()
        if name == "tokenizer.ggml.tokens":
            value = [*value, *own]
            size = len(value)
        elif name == "tokenizer.ggml.token_type":
            value = [*value, *[int(gguf.TokenType.USER_DEFINED)] * len(own)]
        writer.add_key_value(name, value, kind, of[-1] if of else None)
    writer.add_vocab_size(size)
    return size
