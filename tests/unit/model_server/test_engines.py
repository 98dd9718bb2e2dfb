from pathlib import Path

import pytest

from bawn.model_server.engine.options import physical_cores
from bawn.model_server.engines import Models, models_of
from bawn.model_server.settings import ModelServerSettings
from support import tiny_embedder, tiny_gguf


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "text.gguf")


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    return tiny_embedder.write(tmp_path / "mini.gguf")


def names(models: Models) -> tuple[str | None, str | None]:
    return models.text and models.text.model.stem, models.embedding and models.embedding.name


def test_a_model_goes_to_the_engine_that_it_is_for(text: Path, embedder: Path) -> None:
    both = {"model": str(text), "embedding_model": str(embedder)}
    assert names(models_of(ModelServerSettings(model=str(text)))) == ("text", None)
    assert names(models_of(ModelServerSettings(**both))) == ("text", "mini")  # type: ignore[arg-type]
    assert names(models_of(ModelServerSettings(**both, embedding_alias="e"))) == ("text", "e")  # type: ignore[arg-type]
    assert names(models_of(ModelServerSettings(model=str(embedder)))) == (None, "mini")
    assert names(models_of(ModelServerSettings(model=str(embedder), alias="e"))) == (None, "e")
    assert names(models_of(ModelServerSettings(embedding_model=str(embedder)))) == (None, "mini")


def test_beside_a_text_model_on_the_cpu_the_embedder_takes_half_of_the_threads(text: Path, embedder: Path) -> None:
    def threads(**settings: int | str | None) -> int:
        embedding = models_of(ModelServerSettings(embedding_model=str(embedder), **settings)).embedding  # type: ignore[arg-type]
        assert embedding is not None
        return embedding.threads

    assert threads() == 0  # every core
    assert threads(threads=6) == 6
    assert threads(model=str(text), threads=6) == 3
    assert threads(model=str(text), threads=1) == 1
    assert threads(model=str(text)) == max(1, physical_cores() // 2)
    assert threads(model=str(text), n_gpu_layers=-1) == 0


@pytest.mark.parametrize(("asked", "layers"), [(None, None), (0, 0), (-1, -1), (20, -1)])
def test_an_embedder_is_on_the_gpu_as_a_whole_or_not_at_all(
    text: Path, embedder: Path, asked: int | None, layers: int | None
) -> None:
    settings = ModelServerSettings(model=str(text), embedding_model=str(embedder), n_gpu_layers=asked)
    embedding = models_of(settings).embedding
    assert embedding is not None
    assert embedding.n_gpu_layers == layers
