"""Chat templates and vocabularies of published models, as llama-cpp-python's source package ships them."""

import functools
import urllib.error
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest

from bawn.model_server.engine.native_log import native_log
from bawn.model_server.engine.vocabulary import Vocabulary
from support.llama_cpp_source import unpacked


@functools.cache
def _models() -> Path | str:
    try:
        return unpacked() / "vendor" / "llama.cpp" / "models"
    except urllib.error.URLError as error:
        return f"the source package of llama-cpp-python, which has models' templates, can't be fetched: {error.reason}"


def models_folder() -> Path:
    """llama.cpp's folder `models`, or a skip with the reason."""
    found = _models()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def template(name: str) -> str:
    """The chat template of a published model."""
    return (models_folder() / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


@functools.cache
def vocabulary(name: str) -> Vocabulary:
    """The tokenizer of a published model; its weights are not needed. Kept until the process ends."""
    native_log()
    path = models_folder() / f"ggml-vocab-{name}.gguf"
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model: Any = llama.llama_model_load_from_file(str(path).encode(), params)
    assert model, f"llama.cpp can't read {path}"
    return Vocabulary(llama.llama_model_get_vocab(model))
