"""Embedding engines, and model servers that embed, for tests."""

import contextlib
import threading
from array import array
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from bawn.model_server.app import model_server_app
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.embedding.runtime import EmbeddingRuntime, Tokens
from bawn.model_server.embedding.vectors import Vectors
from bawn.model_server.engines import Engines, engines_of, models_of
from bawn.model_server.settings import ModelServerSettings
from bawn.service.serving import running
from support.ports import free_port


class Batches:
    """Makes an engine wait for leave before each batch, and keeps what each was: the sizes of its inputs."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self._free = False
        self.begun: list[list[int]] = []

    def allow(self, batches: int = 1) -> None:
        self._allowed.release(batches)

    def free(self) -> None:
        self._free = True
        self._allowed.release()

    def load(self, options: EmbeddingOptions) -> EmbeddingRuntime:
        batches = self

        class Stepped(EmbeddingRuntime):
            warm = False

            def embed(self, inputs: Sequence[Tokens]) -> Vectors:
                if self.warm:
                    batches.begun.append([len(tokens) for tokens in inputs])
                    if not batches._free:
                        batches._allowed.acquire()
                self.warm = True
                return super().embed(inputs)

        return Stepped(options)


def tokens_of(*sizes: int) -> list[Tokens]:
    """Inputs of so many tokens each."""
    return [array("i", [10 + at % 20 for at in range(size)]) for size in sizes]


@contextlib.asynccontextmanager
async def embedder_on(
    model: Path,
    *,
    batches: Batches | None = None,
    load: Callable[[EmbeddingOptions], EmbeddingRuntime] = EmbeddingRuntime,
    **options: Any,
) -> AsyncGenerator[EmbeddingEngine]:
    """A started engine, ready."""
    load = batches.load if batches else load
    engine = EmbeddingEngine(EmbeddingOptions(model=model, name="embedder", threads=1, **options), load=load)
    engine.start()
    try:
        await engine.ready()
        yield engine
    finally:
        if batches:
            batches.free()
        await engine.stop()


@contextlib.asynccontextmanager
async def serving(
    *, batches: Batches | None = None, wait: bool = True, token: str = "", **settings: Any
) -> AsyncGenerator[tuple[httpx.AsyncClient, Engines]]:
    """A model server by `settings` on a free port, with a client for it."""
    chosen = ModelServerSettings(threads=1, speculation="off", **settings).checked()
    engines = engines_of(models_of(chosen), load_embedding=batches.load if batches else EmbeddingRuntime)
    engines.start()
    port = free_port()
    try:
        if wait:
            await engines.ready()
        app = model_server_app(engines.text, chosen, embedder=engines.embedding, token=token)
        async with running(app, "127.0.0.1", port, drain_s=5):
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, headers=headers) as client:
                yield client, engines
            if batches is not None:
                batches.free()
    finally:
        if batches is not None:
            batches.free()
        await engines.stop()
