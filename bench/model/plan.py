"""How much is measured: in full for the record, little with `--quick` to see that all of it works."""

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import llama_cpp.llama_cpp as llama
import msgspec

from bawn.model_server.engine.native_log import native_log
from bawn.model_server.engine.vocabulary import Vocabulary
from bench.model.models import generated, real
from bench.servers import Serving


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are tokens unless said."""

    threads: int
    model: Path
    """What throughput and speculation are measured on: a model that says something."""
    full: bool = True

    def size(self, full: int, quick: int) -> int:
        """One of two sizes."""
        return full if self.full else quick

    def serving(self, model: Path, *, n_ctx: int, n_slots: int, **more: Any) -> Serving:
        """Settings of all servers of a comparison."""
        return Serving(model=model, n_ctx=n_ctx, n_slots=n_slots, threads=self.threads, **more)

    def generated(self, kind: Literal["plain", "hybrid", "fim"]) -> Path:
        """A generated model."""
        return generated(kind)

    def random(self, name: str) -> random.Random:
        """The same numbers in each run."""
        return random.Random(name)


@functools.cache
def tokenizer(model: Path | None = None) -> Vocabulary:
    """The vocabulary of a model, by default SmolLM2's, which the generated ones have too; kept."""
    native_log()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    path = model or real()
    loaded: Any = llama.llama_model_load_from_file(str(path).encode(), params)
    if not loaded:
        raise FileNotFoundError(f"{path} can't be read by llama.cpp.")
    return Vocabulary(llama.llama_model_get_vocab(loaded))


def measure() -> Callable[[str], int]:
    """Counts the tokens of a text."""
    vocabulary = tokenizer()
    return lambda text: len(vocabulary.tokens(text, special=False, begin=False))
