"""What the planner computes against what llama.cpp allocates, over architectures, with models of zeros."""

from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest

from bawn.model_server.engine.native_log import NativeLog, native_log
from bawn.model_server.engine.options import EngineOptions, KvType, sequences
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.memory import Context, compute_bytes, kv_bytes, kv_bytes_per_token, state_bytes
from bawn.model_server.planner.plan import MIB
from bawn.model_server.planner.shape import Shape, shape_of
from support import shaped_gguf, tiny_gguf

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "grouped heads": ("llama", {}),
    "one KV head": ("llama", {"kv_heads": 1, "length": 64, "embd": 512}),
    "a large vocabulary, embeddings shared": ("llama", {"vocabulary": 50000, "tied": True}),
    "qwen2": ("qwen2", {}),
    "heads longer than embedding by their number": ("qwen3", {"length": 64}),
    "sliding window": ("gemma3", {"window": 512, "layers": 12}),
    "experts": ("qwen3moe", {"experts": shaped_gguf.EXPERTS}),
    "experts, every second layer with a window": (
        "gpt-oss",
        {"experts": shaped_gguf.EXPERTS, "window": 128, "length": 64, "heads": 4},
    ),
    "hybrid": ("qwen35", {}),
    "hybrid with experts, one of them shared": ("qwen35moe", {"experts": {**shaped_gguf.EXPERTS, "shared": 256}}),
    "hybrid, every second layer": ("qwen35", {"interval": 2, "layers": 4}),
}


def _written(folder: Path, model: str) -> tuple[Path, Shape]:
    architecture, shape = MODELS[model]
    path = shaped_gguf.write(folder / "model.gguf", architecture, **shape)
    return path, shape_of(read_header(path), str(path))


def _allocated(path: Path, **options: Any) -> NativeLog:
    Runtime(EngineOptions(model=path, threads=1, n_gpu_layers=0, **options)).close()
    return native_log()


@pytest.mark.parametrize("kv_type", ["f16", "bf16", "q8_0", "q4_0"])
@pytest.mark.parametrize("model", MODELS)
def test_cache_and_state_are_what_llama_cpp_allocates(tmp_path: Path, model: str, kv_type: KvType) -> None:
    path, shape = _written(tmp_path, model)
    # 9,000 is rounded up to whole blocks of cells.
    for tokens, slots in ((16384, 4), (9000, 2)):
        log = _allocated(path, n_ctx=tokens, n_slots=slots, kv_type=kv_type)
        context = Context(tokens=tokens, slots=slots, kv_type=kv_type)
        assert kv_bytes(shape, context) / MIB == pytest.approx(log.mib("KV"), rel=0.01)
        assert state_bytes(shape, sequences(slots, fim=False)) / MIB == pytest.approx(log.mib("RS"), rel=0.01)
        assert log.mib("KV") > 1, "the log rounds to 0.01 MiB: a smaller cache would prove nothing"


@pytest.mark.parametrize("model", MODELS)
def test_weights_are_those_that_llama_cpp_loads(tmp_path: Path, model: str) -> None:
    path, shape = _written(tmp_path, model)
    log = _allocated(path, n_ctx=1024)
    tied = MODELS[model][1].get("tied", False)
    expected = shape.weights + (0 if tied else shape.input_weights)
    assert expected / MIB == pytest.approx(log.mib("model"), rel=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_compute_buffers_are_estimated_from_above_and_not_wildly(tmp_path: Path, model: str) -> None:
    path, shape = _written(tmp_path, model)
    for tokens in (2048, 16384):
        # A type that takes flash attention, as every GPU has it, whose buffers are what is planned.
        log = _allocated(path, n_ctx=tokens, n_slots=4, kv_type="bf16")
        estimate = compute_bytes(shape, Context(tokens=tokens, slots=4)) / MIB
        assert log.mib("compute") <= estimate <= 2 * log.mib("compute") + 8


def test_sliding_windows_that_are_kept_alone_take_what_llama_cpp_says(tmp_path: Path) -> None:
    path, shape = _written(tmp_path, "sliding window")
    log = native_log()
    model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_seq_max, params.n_ubatch, params.kv_unified, params.swa_full = 16384, 4, 512, True, False
    log.forget_sizes()
    context = llama.llama_init_from_model(model, params)
    llama.llama_free(context)
    llama.llama_model_free(model)
    planned = kv_bytes(shape, Context(tokens=16384, slots=4, whole_windows=False))
    assert planned / MIB == pytest.approx(log.mib("KV"), rel=0.01)
    assert planned < kv_bytes(shape, Context(tokens=16384, slots=4)) / 2


def test_a_recurrent_model_has_a_state_and_no_cache(tmp_path: Path) -> None:
    path = tiny_gguf.write_recurrent(tmp_path / "mamba.gguf")
    shape = shape_of(read_header(path), str(path))
    log = _allocated(path, n_ctx=2048, n_slots=16)
    assert kv_bytes(shape, Context(tokens=2048, slots=16)) == 0
    assert state_bytes(shape, sequences(16, fim=False)) / MIB == pytest.approx(log.mib("RS"), abs=0.006)


def test_a_hybrid_pays_for_tokens_in_its_attention_layers_alone(tmp_path: Path) -> None:
    _, shape = _written(tmp_path, "hybrid")
    assert (shape.count("full"), shape.count("recurrent")) == (2, 6)
    assert kv_bytes_per_token(shape, "f16") == 2 * (2 * 32 + 2 * 32) * 2
