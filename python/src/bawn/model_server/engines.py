"""The engines of one process: one that generates, one that embeds, or both."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from bawn.contracts.errors import SettingsError
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.embedding.kind import embeds
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.embedding.runtime import EmbeddingRuntime
from bawn.model_server.engine.engine import Engine, State
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import EngineFault, Runtime, check_gguf
from bawn.model_server.settings import ModelServerSettings


class AnyEngine(Protocol):
    """What a process has to know of an engine to start it, to watch it and to end it."""

    state: State
    fault: BaseException | None

    @property
    def age_s(self) -> float: ...
    def start(self) -> None: ...
    async def ready(self) -> object: ...
    async def failed(self) -> BaseException: ...
    def halt(self) -> None: ...
    async def stop(self) -> None: ...


class Models(NamedTuple):
    """What the engines are started with; one of them at least."""

    text: EngineOptions | None
    embedding: EmbeddingOptions | None


def models_of(settings: ModelServerSettings) -> Models:
    """What each engine serves by these settings.

    Raises:
        SettingsError: a file is no model, two models embed, or both have one name.
    """
    beside = Path(settings.embedding_model) if settings.embedding_model else None
    if beside is not None:
        check_gguf(beside)
    if beside is not None and not settings.model:
        return Models(None, settings.embedding_options(beside, settings.embedding_alias or beside.stem, beside=False))
    text = settings.engine_options()
    check_gguf(text.model)
    name = settings.alias or text.model.stem
    if embeds(text.model):
        if beside is not None:
            raise SettingsError(f"model: {text.model} embeds, as embedding_model does; leave one of them out.")
        return Models(None, settings.embedding_options(text.model, name, beside=False))
    if beside is None:
        return Models(text, None)
    embedding_name = settings.embedding_alias or beside.stem
    if embedding_name == name:
        raise SettingsError(f"embedding_alias: both models would be served as {name}; name one of them otherwise.")
    return Models(text, settings.embedding_options(beside, embedding_name, beside=True))


class Engines:
    """The engines, as one."""

    def __init__(self, text: Engine | None, embedding: EmbeddingEngine | None) -> None:
        self.text = text
        self.embedding = embedding
        parts: dict[str, AnyEngine | None] = {"embedding": embedding, "engine": text}
        self.parts: dict[str, AnyEngine] = {name: part for name, part in parts.items() if part is not None}
        """By name, in the order in which they load."""

    @property
    def state(self) -> State:
        """The worst of theirs."""
        states = [part.state for part in self.parts.values()]
        worst: tuple[State, ...] = ("failed", "stopped", "loading", "ready")
        return next(state for state in worst if state in states)

    @property
    def age_s(self) -> float:
        """Seconds since each of their loops went round, at least once."""
        return max(part.age_s for part in self.parts.values())

    @property
    def fault(self) -> BaseException | None:
        """What ended one of them."""
        return next((part.fault for part in self.parts.values() if part.fault is not None), None)

    def start(self) -> None:
        """Start all; returns at once."""
        for part in self.parts.values():
            part.start()

    async def ready(self) -> None:
        """Wait until all are.

        Raises:
            SettingsError: a model can't be loaded.
            EngineFault: an engine failed or was stopped.
        """
        for part in self.parts.values():
            await part.ready()

    async def failed(self) -> None:
        """Wait until one fails."""
        watching = [asyncio.create_task(part.failed()) for part in self.parts.values()]
        try:
            await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in watching:
                task.cancel()

    def halt(self) -> None:
        """End their loops after the current step."""
        for part in self.parts.values():
            part.halt()

    async def stop(self) -> None:
        """`halt`, then wait until their threads have ended."""
        self.halt()
        for part in self.parts.values():
            await part.stop()


def engines_of(
    models: Models,
    *,
    load: Callable[[EngineOptions], Runtime] = Runtime,
    load_embedding: Callable[[EmbeddingOptions], EmbeddingRuntime] = EmbeddingRuntime,
) -> Engines:
    """Engines for `models`, not started yet.

    They load one after the other: llama.cpp's log tells of one load at a time, and what the context of the text model
    gets of a GPU is planned from what the embedding model has left of it.
    """
    embedding = EmbeddingEngine(models.embedding, load=load_embedding) if models.embedding is not None else None

    def after_embedding(options: EngineOptions) -> Runtime:
        if embedding is not None:
            embedding.loaded.wait()
            if embedding.state != "ready":
                raise EngineFault("the embedding engine did not start")
        return load(options)

    return Engines(Engine(models.text, load=after_embedding) if models.text is not None else None, embedding)
