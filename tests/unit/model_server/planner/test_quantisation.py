"""What weights would take in other quantisations, against files that llama.cpp itself quantises."""

from pathlib import Path
from typing import Any

import gguf
import llama_cpp.llama_cpp as llama
import pytest

from bawn.model_server.engine.native_log import native_log
from bawn.model_server.planner.gguf_header import Header, read_header
from bawn.model_server.planner.quantisation import FILE_TYPES, QUANTISATIONS, quantisation_of, requantised
from support import shaped_gguf

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "grouped heads": ("llama", {"layers": 18}),
    "a head of K and V for each of Q": ("llama", {"layers": 9, "kv_heads": 8}),
    "embeddings shared": ("qwen3", {"vocabulary": 4096, "tied": True}),
    "rows that are no multiple of 256": ("llama", {"embd": 288, "length": 32, "heads": 9, "kv_heads": 3, "ff": 96}),
    "experts": ("qwen3moe", {"experts": shaped_gguf.EXPERTS, "layers": 8}),
    "hybrid": ("qwen35", {"layers": 16}),
}
NUMBERS = {name: number for number, name in FILE_TYPES.items()}


def _size(header: Header) -> int:
    return sum(tensor.size for tensor in header.tensors)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    architecture, shape = MODELS[request.param]
    return shaped_gguf.write(tmp_path_factory.mktemp("quantisation") / "model.gguf", architecture, **shape)


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
def test_types_and_sizes_are_those_of_files_that_llama_cpp_quantises(
    tmp_path: Path, model: Path, quantisation: str
) -> None:
    native_log()
    params = llama.llama_model_quantize_default_params()
    params.nthread, params.ftype = 1, NUMBERS[quantisation]
    made = tmp_path / "made.gguf"
    assert llama.llama_model_quantize(str(model).encode(), str(made).encode(), params) == 0
    written = read_header(made)
    expected = requantised(read_header(model), quantisation)
    kinds = {tensor.name: tensor.kind for tensor in expected.tensors}
    assert kinds == {tensor.name: tensor.kind for tensor in written.tensors}
    assert _size(expected) == _size(written)
    assert quantisation_of(written) == quantisation_of(expected) == quantisation
    assert _size(requantised(written, quantisation)) == _size(written)


def test_norms_and_biases_keep_their_type(tmp_path: Path) -> None:
    header = read_header(shaped_gguf.write(tmp_path / "model.gguf", "qwen2"))
    kinds = {tensor.name: tensor.kind for tensor in requantised(header, "Q4_K_M").tensors}
    assert {kinds["output_norm.weight"], kinds["blk.0.attn_norm.weight"], kinds["blk.0.attn_q.bias"]} == {"F32"}
    assert kinds["blk.0.attn_q.weight"] == "Q4_K"
    assert kinds["output.weight"] == "Q6_K"


def test_a_file_that_does_not_name_its_quantisation_is_called_after_most_of_its_bytes(tmp_path: Path) -> None:
    silent = shaped_gguf.write(tmp_path / "silent.gguf", "llama", type=gguf.GGMLQuantizationType.Q5_K, data=False)
    assert quantisation_of(read_header(silent)) == "Q5_K"


def test_names_of_file_types_are_those_of_the_gguf_package() -> None:
    for kind in gguf.LlamaFileType:
        if kind.value in FILE_TYPES:
            assert FILE_TYPES[kind.value] == kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
