from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import llama_cpp
import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.embedding.kind import embeds
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.embedding.runtime import EmbeddingRuntime
from support import tiny_embedder, tiny_gguf
from support.embedders import tokens_of

TEXTS = ["hello world", "x", "def parse(line): return line.split(',')", "Grüße [SEP] 42", "hello world"]

Write = Callable[[Path], Path]
KINDS: dict[str, Write] = {
    "encoder, mean": tiny_embedder.write,
    "encoder, first": lambda path: tiny_embedder.write(path, pooling=gguf.PoolingType.CLS),
    "decoder, last": lambda path: tiny_gguf.write(path, pooling=gguf.PoolingType.LAST),
    "decoder, mean": lambda path: tiny_gguf.write(path, pooling=gguf.PoolingType.MEAN),
}


def load(model: Path, **options: int) -> EmbeddingRuntime:
    return EmbeddingRuntime(EmbeddingOptions(model=model, name="embedder", threads=1, **options))


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write: Write = request.param
    return write(tmp_path / "model.gguf")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without flash attention, which rounds to 16 bits, and otherwise in batches of other shapes."""
    defaults = llama.llama_context_default_params

    def params() -> llama.llama_context_params:
        params = defaults()
        params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return params

    monkeypatch.setattr(llama, "llama_context_default_params", params)


@pytest.fixture
def runtime(model: Path) -> Iterator[EmbeddingRuntime]:
    runtime = load(model)
    yield runtime
    runtime.close()


@pytest.mark.usefixtures("exact")
def test_a_batch_gives_what_each_text_alone_gives(runtime: EmbeddingRuntime) -> None:
    inputs = [runtime.tokens(text) for text in TEXTS]
    together = runtime.embed(inputs)
    alone = np.concatenate([runtime.embed([one]) for one in inputs])
    assert np.abs(together - alone).max() < 1e-4
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_rounding_changes_no_vector_that_a_search_would_notice(runtime: EmbeddingRuntime) -> None:
    inputs = [runtime.tokens(text) for text in TEXTS]
    together = runtime.embed(inputs).astype(np.float64)
    alone = np.concatenate([runtime.embed([one]) for one in inputs])
    assert (together * alone).sum(axis=1).min() > 1 - 5e-6


@pytest.mark.usefixtures("exact")
def test_vectors_are_those_of_llama_cpp_python(model: Path, runtime: EmbeddingRuntime) -> None:
    theirs = llama_cpp.Llama(str(model), embedding=True, n_ctx=512, n_batch=512, n_threads=1, verbose=False)
    try:
        expected = np.array([theirs.embed(text, normalize=True) for text in TEXTS])
        assert [list(runtime.tokens(text)) for text in TEXTS] == [theirs.tokenize(text.encode()) for text in TEXTS]
    finally:
        theirs.close()
    ours = runtime.embed([runtime.tokens(text) for text in TEXTS])
    assert np.abs(ours - expected).max() < 1e-4


def test_a_full_batch_and_the_longest_input_are_computed(tmp_path: Path) -> None:
    runtime = load(tiny_embedder.write(tmp_path / "m.gguf"), n_batch=64)
    assert (runtime.n_ctx, runtime.n_batch, runtime.width) == (512, 512, tiny_embedder.SIZE)
    assert runtime.embed(tokens_of(512)).shape == (1, runtime.width)
    inputs = tokens_of(*[1] * runtime.n_sequences)
    assert runtime.embed(inputs).shape == (runtime.n_sequences, runtime.width)
    runtime.close()


def test_a_text_stands_between_the_tokens_that_the_model_wants_and_cannot_write_them(tmp_path: Path) -> None:
    runtime = load(tiny_embedder.write(tmp_path / "m.gguf"))
    tokens = runtime.tokens("a [SEP] b")
    assert (tokens[0], tokens[-1]) == (tiny_embedder.CLS, tiny_embedder.SEP)
    assert tiny_embedder.SEP not in tokens[1:-1]
    assert len(runtime.tokens("x" * 100_000)) == 100_002
    runtime.close()


def test_the_longest_input_is_what_is_set_or_the_training_context_up_to_a_bound(tmp_path: Path) -> None:
    model = tiny_embedder.write(tmp_path / "m.gguf", n_ctx=4096)
    for n_ctx, expected in ((0, 2048), (4096, 4096), (100, 100)):
        runtime = load(model, n_ctx=n_ctx)
        assert runtime.n_ctx == expected
        assert runtime.embed(tokens_of(expected)).shape == (1, runtime.width)
        runtime.close()
    with pytest.raises(SettingsError, match=r"embedding_ctx: is 4097, and m.gguf was trained for 4096 tokens"):
        load(model, n_ctx=4097)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: tiny_gguf.write(path), "does not embed: its header has no `pooling_type`"),
        (lambda path: tiny_embedder.write(path, pooling=None), "does not embed: its header has no `pooling_type`"),
        (lambda path: tiny_embedder.write(path, pooling=gguf.PoolingType.RANK), "a reranker"),
    ],
    ids=["generates", "no pooling", "ranks"],
)
def test_a_model_that_does_not_embed_is_refused(tmp_path: Path, write: Write, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(write(tmp_path / "m.gguf"))


def test_the_header_tells_what_embeds(tmp_path: Path) -> None:
    assert all(embeds(write(tmp_path / "m.gguf")) for write in KINDS.values())
    assert embeds(tiny_embedder.write(tmp_path / "m.gguf", pooling=None))
    for write in (tiny_gguf.write, tiny_gguf.write_recurrent, tiny_gguf.write_hybrid):
        assert not embeds(write(tmp_path / "m.gguf"))
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert not embeds(tmp_path / "m.gguf")


def test_token_ids_are_taken_as_they_are(runtime: EmbeddingRuntime) -> None:
    [vector] = runtime.embed([array("i", [5, 6, 7])])
    [other] = runtime.embed([array("i", [7, 6, 5])])
    assert np.abs(vector - other).max() > 1e-3
