"""Engines and model servers for tests."""

import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import llama_cpp.llama_cpp as llama

from bawn.model_server.app import model_server_app
from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.engine import Engine
from bawn.model_server.engine.generation import Generation
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import EngineFault, Runtime
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.sequence import GenerationRequest
from bawn.model_server.settings import ModelServerSettings
from bawn.service.serving import running
from support.ports import free_port

GREEDY = Sampling(temperature=0)


class Steps:
    """Makes an engine wait for leave before each decode step: tests count steps, not seconds."""

    def __init__(self, allowed: int = 0) -> None:
        self._allowed = threading.Semaphore(allowed)
        self._free = False

    def allow(self, steps: int = 1) -> None:
        self._allowed.release(steps)

    def free(self) -> None:
        self._free = True
        self._allowed.release()

    def load(self, options: EngineOptions) -> Runtime:
        steps = self

        class Stepped(Runtime):
            warm = False

            def warm_up(self) -> None:
                super().warm_up()
                self.warm = True

            def decode(self, batch: Batch) -> bool:
                if self.warm and not steps._free:
                    steps._allowed.acquire()
                return super().decode(batch)

        return Stepped(options)


def breaks_when(broken: threading.Event) -> Callable[[EngineOptions], Runtime]:
    """A runtime whose decode fails for good once `broken` is set."""

    class Breaking(Runtime):
        def decode(self, batch: Batch) -> bool:
            if broken.is_set():
                raise EngineFault("llama_decode returned -3")
            return super().decode(batch)

    return Breaking


@contextlib.asynccontextmanager
async def engine_on(model: Path, *, steps: Steps | None = None, **options: Any) -> AsyncGenerator[Engine]:
    """A started engine, ready."""
    load = steps.load if steps else options.pop("load", Runtime)
    options = {"speculation": "off", **options}  # tests count steps
    engine = Engine(EngineOptions(model=model, threads=1, **options), load=load)
    engine.start()
    try:
        await engine.ready()
        yield engine
    finally:
        if steps:
            steps.free()
        await engine.stop()


def submit(engine: Engine, text: str, *, sampling: Sampling = GREEDY, **request: Any) -> Generation:
    tokens = engine.runtime.vocabulary.prompt_tokens(text)
    return engine.submit(GenerationRequest(tokens=tokens, sampling=sampling, **request))


async def text_of(generation: Generation) -> str:
    return "".join([output.text async for output in generation.outputs()])


async def answer(engine: Engine, text: str, **request: Any) -> str:
    return await text_of(submit(engine, text, **request))


@contextlib.asynccontextmanager
async def server_on(
    model: Path,
    *,
    steps: Steps | None = None,
    load: Callable[[EngineOptions], Runtime] = Runtime,
    wait: bool = True,
    token: str = "",
    **settings: Any,
) -> AsyncGenerator[tuple[httpx.AsyncClient, Engine]]:
    """A model server on a free port, with a client for it."""
    settings = {"speculation": "off", **settings}
    chosen = ModelServerSettings(model=str(model), threads=1, alias="tiny", **settings)
    engine = Engine(chosen.engine_options(), load=steps.load if steps else load)
    engine.start()
    port = free_port()
    try:
        if wait:
            await engine.ready()
        app = model_server_app(engine, chosen, token=token)
        async with running(app, "127.0.0.1", port, drain_s=5):
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, headers=headers) as client:
                yield client, engine
            if steps:
                steps.free()
    finally:
        if steps:
            steps.free()
        await engine.stop()


def same_up_to_a_near_tie(model: Path, prompt: str, a: list[int], b: list[int]) -> bool:
    """Whether two greedy generations agree, or part where the two tokens were as good as equally likely.

    Batches of other shapes round otherwise, by some 0.01 in the logits of a random model.
    """
    parts = next((at for at, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), None)
    if parts is None:
        return True
    runtime = Runtime(EngineOptions(model=model, threads=1, n_batch=2048))
    tokens = [*runtime.vocabulary.prompt_tokens(prompt), *a[:parts]]
    batch = Batch(len(tokens), 1)
    index = batch.add(0, 0, tokens, outputs=1)
    assert runtime.decode(batch)
    logits = llama.llama_get_logits_ith(runtime.context, index)
    x, y = logits[a[parts]], logits[b[parts]]
    best = max(x, y)
    runtime.close()
    return abs(x - y) < 0.1 and best > 0
