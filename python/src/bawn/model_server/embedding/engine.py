"""The embedding engine: one thread that owns a pooling model and computes inputs of many requests in one batch."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from bawn.contracts.errors import InternalError, RequestError, Unavailable
from bawn.model_server.embedding.job import EmbeddingJob
from bawn.model_server.embedding.line import EmbeddingLine, Piece
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.embedding.runtime import EmbeddingRuntime, Tokens
from bawn.model_server.engine.engine import State
from bawn.model_server.engine.runtime import Aborted, EngineFault
from bawn.model_server.poster import Poster
from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server.embedding")

_IDLE_TICK_S: Final = 0.5  # an idle loop goes round too, so that its age tells whether it lives
THREAD: Final = "embedding"
"""The thread's name, in `top -H` too."""


class EmbeddingStats(msgspec.Struct):
    """Totals since the start. Written by the engine thread; others read whole fields."""

    batches: int = 0
    inputs: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Inside llama.cpp."""
    aborted_batches: int = 0
    """Batches broken off because nobody waited for any of their inputs any more."""


class EmbeddingEngine:
    """Start it on an event loop; `submit`, `cancel` and the properties belong to that loop's thread."""

    def __init__(
        self, options: EmbeddingOptions, *, load: Callable[[EmbeddingOptions], EmbeddingRuntime] = EmbeddingRuntime
    ) -> None:
        self.options = options
        self._load = load
        self.stats = EmbeddingStats()
        self.line = EmbeddingLine(options.queue_size, max_wait_s=options.max_wait_s)
        self.state: State = "loading"
        self.fault: BaseException | None = None
        """What ended the engine: `SettingsError` when the model could not be loaded."""
        self.loaded = threading.Event()
        """Loading is over, well or not."""
        self._runtime: EmbeddingRuntime | None = None
        self._tick = monotonic()
        self._stopping = False
        self._computing = threading.Lock()
        self._at_work: tuple[EmbeddingJob, ...] = ()
        self._changed = asyncio.Event()
        self._failed = asyncio.Event()
        self._poster = Poster()
        self._thread = threading.Thread(target=self._main, name=THREAD, daemon=True)

    def start(self) -> None:
        """Start loading the model; returns at once. Call it on the event loop."""
        self._poster.start(asyncio.get_running_loop())
        self._thread.start()

    async def ready(self) -> EmbeddingRuntime:
        """Wait until the warm-up is done.

        Raises:
            SettingsError: the model can't be loaded.
            EngineFault: the engine failed or was stopped.
        """
        await self._changed.wait()
        if self.fault is not None:
            raise self.fault
        if self._runtime is None or self.state != "ready":
            raise EngineFault("the embedding engine was stopped")
        return self._runtime

    async def failed(self) -> BaseException:
        """Wait until the engine fails, and tell why."""
        await self._failed.wait()
        return self.fault or EngineFault("the embedding engine failed")

    @property
    def runtime(self) -> EmbeddingRuntime:
        """The loaded model.

        Raises:
            Unavailable: it is still loading, or is going away.
            InternalError: the engine has failed.
        """
        if self.state == "failed":
            raise InternalError
        if self.state != "ready" or self._runtime is None:
            raise Unavailable(
                "The model is still loading." if self.state == "loading" else "The server is stopping.", retry_after=5
            )
        return self._runtime

    @property
    def age_s(self) -> float:
        """Seconds since the loop last went round."""
        return monotonic() - self._tick

    def submit(self, inputs: Sequence[Tokens]) -> EmbeddingJob:
        """Queue the inputs of a request; none is empty, none longer than the runtime's `n_ctx`.

        Raises:
            Overloaded: the queue is full.
            Unavailable, InternalError: as `runtime`.
        """
        _ = self.runtime
        job = EmbeddingJob(inputs)
        self.line.join(job)
        return job

    def cancel(self, job: EmbeddingJob) -> None:
        """Nobody waits for `job` any more; does nothing when it has ended."""
        job.cancelled = True
        self.line.leave(job)
        with self._computing:
            if self._runtime is not None and self._unwanted():
                self._runtime.abort(True)

    def _unwanted(self) -> bool:
        """Whether a batch is under way for which nobody waits."""
        return bool(self._at_work) and all(job.cancelled for job in self._at_work)

    def halt(self) -> None:
        """End the loop after its current batch; requests under way fail with `Unavailable`."""
        self._stopping = True
        self.line.wake()

    async def stop(self) -> None:
        """`halt`, then wait until the thread has ended and the model is freed."""
        self.halt()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _main(self) -> None:
        with contextlib.suppress(OSError):  # Python itself tells Linux the name from 3.14 on
            Path(f"/proc/self/task/{self._thread.native_id}/comm").write_text(THREAD, encoding="utf-8")
        runtime: EmbeddingRuntime | None = None
        end: RequestError = Unavailable("The server is stopping.", retry_after=5)
        state: State = "stopped"
        try:
            runtime = self._load(self.options)
            runtime.warm_up()
            self._runtime = runtime
            self.state = "ready"
            self.loaded.set()
            self._poster.post(self._changed.set)
            event(_log, "embedding_ready", context=runtime.n_ctx, width=runtime.width, batch=self.options.n_batch)
            self._work(runtime)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this engine must not answer any more
            self.fault, state, end = error, "failed", InternalError()
        self.state = state
        for job in self.line.drain():
            self._poster.post(job.end, end)
        if runtime is not None and self.fault is None:
            runtime.close()  # after a fault the native state is not to be touched
        self.loaded.set()
        self._poster.post(self._changed.set)
        if self.fault is not None:
            self._poster.post(self._failed.set)
        self._poster.close()

    def _work(self, runtime: EmbeddingRuntime) -> None:
        while not self._stopping:
            self._tick = monotonic()
            pieces = self.line.take(self.options.n_batch, runtime.n_sequences)
            if pieces:
                self._compute(runtime, pieces)
            else:
                self.line.wait(_IDLE_TICK_S)

    def _compute(self, runtime: EmbeddingRuntime, pieces: list[Piece]) -> None:
        """Compute a batch, unless its clients have all left."""
        with self._computing:
            self._at_work = tuple({id(job): job for job, _, _ in pieces}.values())
            runtime.abort(self._unwanted())
        started = monotonic()
        try:
            vectors = runtime.embed([tokens for _, _, tokens in pieces])
        except Aborted:
            self.stats.aborted_batches += 1
            return
        finally:
            with self._computing:
                self._at_work = ()
                runtime.abort(False)
        self._count(pieces, monotonic() - started)
        for (job, number, _), vector in zip(pieces, vectors, strict=True):
            if job.put(number, vector):
                self.line.leave(job)
                self._poster.post(job.end)

    def _count(self, pieces: list[Piece], seconds: float) -> None:
        tokens = sum(len(tokens) for _, _, tokens in pieces)
        self.stats.batches += 1
        self.stats.inputs += len(pieces)
        self.stats.tokens += tokens
        self.stats.seconds += seconds
        self.line.took(tokens, seconds)
