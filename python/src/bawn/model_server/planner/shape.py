"""What of a model takes memory for each token and each slot: its layers, by how they remember.

llama.cpp decides this per architecture, in code (src/models/*.cpp, llama_hparams); what is known here was read there,
for llama-cpp-python 0.3.36, and is compared with what llama.cpp allocates in tests/unit/model_server/planner.
"""

import math
from typing import Any, Final, Literal

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.model_server.planner.gguf_header import Header, Length
from bawn.model_server.planner.quantisation import quantisation_of

Memory = Literal["full", "window", "recurrent"]
"""Attention to the whole context; to a sliding window of it; a state of fixed size in place of a cache."""

PLAIN: Final = frozenset(
    {"llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "mistral3", "granite", "starcoder2", "internlm2", "deepseek"}
    | {"gemma", "glm4", "glm4moe", "seed_oss", "smollm3", "command-r"}
)
WINDOWED: Final = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4}
"""Architecture → every how manieth layer sees everything, where the file does not say."""
HYBRID: Final = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""The same, the other layers being recurrent (gated delta net)."""
_MOST: Final = 1 << 26
"""No size or count of a model is larger."""
RECURRENT: Final = frozenset({"mamba", "mamba2"})


class Layer(msgspec.Struct, frozen=True):
    """One layer."""

    memory: Memory
    k_width: int = 0
    """Numbers of K that a token takes: heads of K and V (fewer than those of Q where they are grouped) times length."""
    v_width: int = 0
    head: int = 0
    """What divides the lengths of its heads, of K and of V."""
    weights: int = 0
    """Bytes."""


class Shape(msgspec.Struct, frozen=True):
    """A model, as far as memory goes. Bytes and tokens."""

    architecture: str
    name: str
    quantisation: str
    """What the file says of itself, e.g. `Q4_K_M`, or the type that most of its bytes have."""
    trained_context: int
    layers: list[Layer]
    window: int
    """Tokens of the sliding window; 0: there is none."""
    state: int
    """Numbers (four bytes each) that one recurrent layer keeps for one slot."""
    input_weights: int
    """The token embeddings: they stay in main memory."""
    output_weights: int
    """Everything that is neither a layer nor the embeddings; with the embeddings again where the file has them once."""
    embedding: int
    feed_forward: int
    """Numbers between two embeddings, for one token; of experts those that are used together."""
    experts_used: int
    """Experts that compute a token; 0: there are none."""
    vocabulary: int

    def count(self, memory: Memory) -> int:
        """Layers of a kind."""
        return sum(layer.memory == memory for layer in self.layers)

    @property
    def head(self) -> int:
        """What divides the lengths of all heads: a cache's type is possible where its block does; 0: there are none."""
        return math.gcd(*(layer.head for layer in self.layers))

    @property
    def weights(self) -> int:
        """Bytes on a GPU that has all layers."""
        return sum(layer.weights for layer in self.layers) + self.output_weights


class _Metadata:
    """The header's values under the architecture's own prefix."""

    def __init__(self, header: Header, source: str) -> None:
        self._values, self._source = header.metadata, source
        self.architecture = str(header.metadata.get("general.architecture", ""))

    def get(self, key: str, default: Any = None) -> Any:
        found: Any = self._values.get(f"{self.architecture}.{key}", default)
        if found is None:
            raise SettingsError(f"{self._source}: its header lacks {self.architecture}.{key}.")
        return found

    def number(self, key: str, default: int | None = None) -> int:
        """A number; of one for each layer the largest."""
        found = self.get(key, default)
        return (
            max([self._checked(key, item) for item in found], default=0)
            if isinstance(found, list)
            else (self._checked(key, found))
        )

    def of_layer(self, key: str, layer: int, default: int | None = None) -> int:
        """A number that each layer may have its own of."""
        found: Any = self.get(key, default)
        if isinstance(found, list):
            found = found[layer] if layer < len(found) else 0
        return self._checked(key, found)

    def _checked(self, key: str, value: Any) -> int:
        if not isinstance(value, int) or not 0 <= value <= _MOST:
            raise SettingsError(f"{self._source}: is damaged: {self.architecture}.{key} is {value}.")
        return value


def shape_of(header: Header, source: str) -> Shape:
    """The shape of the model in `source`, the file that is named in errors.

    Raises:
        SettingsError: the architecture is not known, or the header lacks what it should have.
    """
    of = _Metadata(header, source)
    architecture = of.architecture
    if architecture not in PLAIN | WINDOWED.keys() | HYBRID.keys() | RECURRENT:
        known = ", ".join(sorted(PLAIN | WINDOWED.keys() | HYBRID.keys() | RECURRENT))
        named = architecture or "that it does not name"
        raise SettingsError(f"{source}: the planner does not know the architecture {named}; known: {known}.")
    # The blocks after the trunk predict several tokens at once; llama.cpp does not load them unless it is asked to.
    n_layers = of.number("block_count") - of.number("nextn_predict_layers", 0)
    sizes = {tensor.name: tensor.size for tensor in header.tensors}
    if n_layers > len(header.tensors):
        raise SettingsError(f"{source}: is damaged: it has {len(header.tensors)} tensors for {n_layers} layers.")
    by_layer = [0] * max(0, n_layers)
    rest = 0
    for name, size in sizes.items():
        parts = name.split(".")
        if parts[0] != "blk" or not parts[1].isdecimal():
            rest += size
        elif int(parts[1]) < n_layers:
            by_layer[int(parts[1])] += size
    embeddings = sizes.get("token_embd.weight", 0)
    window = of.number("attention.sliding_window", 4096 if architecture == "gemma2" else 0)
    recurrent = architecture in HYBRID or architecture in RECURRENT
    return Shape(
        architecture=architecture,
        name=str(header.metadata.get("general.name", "")),
        quantisation=quantisation_of(header),
        trained_context=of.number("context_length"),
        layers=[_layer(of, index, window, weights) for index, weights in enumerate(by_layer)],
        window=window if architecture in WINDOWED else 0,
        state=_state(of) if recurrent else 0,
        input_weights=embeddings,
        output_weights=rest - (embeddings if "output.weight" in sizes else 0),
        embedding=of.number("embedding_length"),
        feed_forward=max(of.number("feed_forward_length", 0), _experts_forward(of)),
        experts_used=of.number("expert_used_count", 0),
        vocabulary=_vocabulary(header, of),
    )


def _layer(of: _Metadata, index: int, window: int, weights: int) -> Layer:
    memory = _memory(of, index, window)
    if memory == "recurrent":
        return Layer(memory=memory, weights=weights)
    heads = of.of_layer("attention.head_count", index)
    kv_heads = of.of_layer("attention.head_count_kv", index, heads)
    length = of.number("embedding_length") // max(1, of.of_layer("attention.head_count", 0))
    swa = "_swa" if memory == "window" else ""
    key = of.number(f"attention.key_length{swa}", of.number("attention.key_length", length))
    value = of.number(f"attention.value_length{swa}", of.number("attention.value_length", length))
    return Layer(
        memory=memory,
        k_width=kv_heads * key,
        v_width=kv_heads * value,
        head=math.gcd(key, value) if kv_heads else 0,
        weights=weights,
    )


def _memory(of: _Metadata, index: int, window: int) -> Memory:
    if of.architecture in RECURRENT:
        return "recurrent"
    if of.architecture in HYBRID:
        every = of.number("full_attention_interval", HYBRID[of.architecture])
        listed = of.get("attention.recurrent_layers", [])
        recurrent = bool(listed[index]) if index < len(listed) else (index + 1) % every != 0
        return "recurrent" if recurrent else "full"
    if of.architecture in WINDOWED and window:
        pattern = of.get("attention.sliding_window_pattern", WINDOWED[of.architecture])
        if isinstance(pattern, list):
            return "window" if index < len(pattern) and pattern[index] else "full"
        return "window" if pattern == 0 or index % pattern < pattern - 1 else "full"
    return "full"


def _experts_forward(of: _Metadata) -> int:
    each, shared = of.number("expert_feed_forward_length", 0), of.number("expert_shared_feed_forward_length", 0)
    return of.number("expert_used_count", 0) * each + shared


def _state(of: _Metadata) -> int:
    """Numbers of convolution state and recurrent state: llama_hparams::n_embd_r and n_embd_s."""
    inner, state = of.number("ssm.inner_size"), of.number("ssm.state_size")
    convolution = (of.number("ssm.conv_kernel") - 1) * (inner + 2 * of.number("ssm.group_count", 0) * state)
    return convolution + state * inner


def _vocabulary(header: Header, of: _Metadata) -> int:
    tokens = header.metadata.get("tokenizer.ggml.tokens", [])
    return tokens.items if isinstance(tokens, Length) else len(tokens) or of.number("vocab_size", 0)
