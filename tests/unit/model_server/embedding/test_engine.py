import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bawn.contracts.errors import InternalError, Overloaded, SettingsError, Unavailable
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.embedding.runtime import EmbeddingRuntime, Tokens
from bawn.model_server.embedding.vectors import Vectors
from bawn.model_server.engine.runtime import EngineFault
from support import tiny_embedder
from support.embedders import Batches, embedder_on, tokens_of
from support.until import until


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_embedder.write(tmp_path / "m.gguf")


async def test_vectors_come_in_the_order_of_their_inputs_whatever_the_batches(model: Path) -> None:
    async with embedder_on(model, n_batch=32) as engine:
        inputs = [engine.runtime.tokens(text * 3) for text in "abcdefghijklmnopqrstuvwxyz"]
        jobs = [engine.submit(inputs), engine.submit(inputs[::-1])]
        first, second = [await job.vectors() for job in jobs]
        alone = [(await engine.submit([one]).vectors())[0] for one in inputs]
    assert np.abs(first - np.stack(alone)).max() < 2e-3  # what flash attention rounds
    assert all(np.abs(first - one).max(axis=1).argmin() == at for at, one in enumerate(alone))
    assert np.abs(second[::-1] - first).max() < 2e-3
    assert engine.stats.inputs == 3 * len(inputs)
    assert engine.stats.batches > len(inputs) + 2


async def test_several_requests_are_computed_in_one_batch(model: Path) -> None:
    batches = Batches()
    async with embedder_on(model, batches=batches) as engine:
        blocker = engine.submit(tokens_of(5))
        await until(lambda: batches.begun == [[5]])
        jobs = [engine.submit(tokens_of(size)) for size in (7, 8, 9)]
        batches.free()
        for job in (blocker, *jobs):
            assert (await job.vectors()).shape == (1, tiny_embedder.SIZE)
    assert batches.begun == [[5], [7, 8, 9]]


async def test_a_query_is_in_the_next_batch_but_one_while_thousands_of_chunks_are_indexed(model: Path) -> None:
    batches = Batches()
    async with embedder_on(model, batches=batches, n_batch=64) as engine:
        indexing = engine.submit(tokens_of(*[64] * 2000))
        await until(lambda: len(batches.begun) == 1)
        for _ in range(3):
            query = engine.submit(tokens_of(6))
            before = len(batches.begun)
            batches.allow(3)
            await query.vectors()
            await until(lambda seen=before: len(batches.begun) == seen + 3)
        assert [6] in batches.begun
        assert indexing.tokens_left > 64 * 1900
        engine.cancel(indexing)


async def test_a_request_whose_client_left_is_computed_no_more(model: Path) -> None:
    batches = Batches()
    async with embedder_on(model, batches=batches, n_batch=64) as engine:
        job = engine.submit(tokens_of(*[64] * 100))
        await until(lambda: len(batches.begun) == 1)
        engine.cancel(job)
        assert len(engine.line) == 0
        batches.free()
        await engine.submit(tokens_of(3)).vectors()
    assert batches.begun == [[64], [3]]
    assert engine.stats.aborted_batches == 1  # nobody waited for what was under way
    assert engine.stats.tokens == 3


async def test_a_batch_for_which_somebody_waits_is_not_ended(model: Path) -> None:
    batches = Batches()
    async with embedder_on(model, batches=batches) as engine:
        blocker = engine.submit(tokens_of(2))
        await until(lambda: batches.begun == [[2]])
        gone, stays = engine.submit(tokens_of(5)), engine.submit(tokens_of(6))
        batches.allow()
        await blocker.vectors()
        await until(lambda: batches.begun == [[2], [5, 6]])
        engine.cancel(gone)
        batches.free()
        assert (await stays.vectors()).shape == (1, tiny_embedder.SIZE)
    assert engine.stats.aborted_batches == 0


async def test_a_full_queue_refuses_and_has_room_again(model: Path) -> None:
    batches = Batches()
    async with embedder_on(model, batches=batches, queue_size=2) as engine:
        jobs = [engine.submit(tokens_of(5)), engine.submit(tokens_of(5))]
        with pytest.raises(Overloaded):
            engine.submit(tokens_of(5))
        batches.free()
        for job in jobs:
            await job.vectors()
        await engine.submit(tokens_of(5)).vectors()


async def test_a_stop_answers_those_who_wait(model: Path) -> None:
    batches = Batches()
    async with embedder_on(model, batches=batches, n_batch=16) as engine:
        job = engine.submit(tokens_of(10, 10))
        await until(lambda: len(batches.begun) == 1)
        engine.halt()
        batches.free()
        with pytest.raises(Unavailable, match="stopping"):
            await job.vectors()
        await engine.stop()
        with pytest.raises(Unavailable):
            engine.submit(tokens_of(1))


async def test_what_breaks_ends_the_engine_and_every_request(model: Path) -> None:
    broken = threading.Event()

    class Breaking(EmbeddingRuntime):
        def embed(self, inputs: Sequence[Tokens]) -> Vectors:
            if broken.is_set():
                raise EngineFault("computing embeddings returned -3")
            return super().embed(inputs)

    async with embedder_on(model, load=Breaking) as engine:
        broken.set()
        with pytest.raises(InternalError):
            await engine.submit(tokens_of(10)).vectors()
        assert str(await engine.failed()) == "computing embeddings returned -3"
        assert engine.state == "failed"
        with pytest.raises(InternalError):
            engine.submit(tokens_of(1))


async def test_a_model_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    engine = EmbeddingEngine(EmbeddingOptions(model=tmp_path / "none.gguf", name="none"))
    engine.start()
    with pytest.raises(SettingsError, match="can't be read"):
        await engine.ready()
    assert engine.loaded.is_set()
    await engine.stop()


async def test_an_idle_loop_goes_round(model: Path) -> None:
    async with embedder_on(model) as engine:
        async with asyncio.timeout(10):
            await until(lambda: 0.1 < engine.age_s < 1)
            await until(lambda: engine.age_s < 0.1)
