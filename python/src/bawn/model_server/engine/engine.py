"""The engine: one thread that owns the model and decodes every generation in one batch."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, Literal

from bawn.contracts.errors import InternalError, RequestError, SettingsError, Unavailable
from bawn.model_server.engine import state_files
from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.draft_model import DraftModel
from bawn.model_server.engine.generation import Generation
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.outbox import Outbox
from bawn.model_server.engine.runtime import Aborted, EngineFault, Runtime
from bawn.model_server.engine.scheduler import Run, Scheduler
from bawn.model_server.engine.sequence import GenerationRequest, Output, Sequence
from bawn.model_server.engine.slots import SlotView
from bawn.model_server.engine.speculation import MEASURED, Costs
from bawn.model_server.engine.state_files import fingerprint
from bawn.model_server.engine.stats import Stats
from bawn.model_server.engine.waiting import WaitingLine
from bawn.model_server.poster import Poster
from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server.engine")

_INTERRUPT_GAP_S = 0.25  # however many people type, most of the time goes on
_IDLE_TICK_S = 0.5  # an idle loop goes round too, so that its age tells whether it lives

THREAD: Final = "engine"
"""The thread's name, in `top -H` too."""

State = Literal["loading", "ready", "failed", "stopped"]


class Engine:
    """Start it on an event loop; `submit`, `slots` and the properties belong to that loop's thread."""

    def __init__(self, options: EngineOptions, *, load: Callable[[EngineOptions], Runtime] = Runtime) -> None:
        self._options = options
        self._load = load
        self.stats = Stats()
        self.line = WaitingLine(options.queue_size, options.n_slots, max_wait_s=options.max_wait_s)
        self.state: State = "loading"
        self.fault: BaseException | None = None
        """What ended the engine: `SettingsError` when the model could not be loaded."""
        self._runtime: Runtime | None = None
        self.scheduler: Scheduler | None = None
        """The engine thread's own; others may look while no sequence is at work."""
        self._tick = monotonic()
        self._stopping = False
        self._stepping = threading.Lock()
        self._fed_alone: Sequence | None = None  # whose prompt the step under way feeds, and hardly anything else
        self._can_wait = False  # the step under way feeds prompts only, and none of autocomplete
        self._interrupted = float("-inf")
        self._changed = asyncio.Event()  # loading is over, or the engine has failed
        self._failed = asyncio.Event()
        self._poster = Poster()
        self._outbox = Outbox(self._poster)
        self._thread = threading.Thread(target=self._main, name=THREAD, daemon=True)

    def start(self) -> None:
        """Start loading the model; returns at once. Call it on the event loop."""
        self._poster.start(asyncio.get_running_loop())
        self._thread.start()

    async def ready(self) -> Runtime:
        """Wait until the warm-up decode is done.

        Raises:
            SettingsError: the model can't be loaded.
            EngineFault: the engine failed or was stopped.
        """
        await self._changed.wait()
        if self.fault is not None:
            raise self.fault
        if self._runtime is None or self.state != "ready":
            raise EngineFault("the engine was stopped")
        return self._runtime

    async def failed(self) -> BaseException:
        """Wait until the engine fails, and tell why."""
        await self._failed.wait()
        return self.fault or EngineFault("the engine failed")

    @property
    def runtime(self) -> Runtime:
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
        """Seconds since the decode loop last went round."""
        return monotonic() - self._tick

    @property
    def cache_bytes(self) -> int:
        """Host memory that holds beginnings of prompts."""
        return self.scheduler.cache.tree.bytes if self.scheduler else 0

    def slots(self) -> list[SlotView]:
        """What the slots do, in numbers."""
        return [slot.view() for slot in self.scheduler.slots] if self.scheduler else []

    def submit(self, request: GenerationRequest) -> Generation:
        """Queue a generation.

        Raises:
            Overloaded: the queue is full.
            Unavailable, InternalError: as `runtime`.
        """
        _ = self.runtime
        generation = Generation(request, self._cancel)
        self.line.join(generation.sequence)
        if request.kind == "fim":
            self._interrupt()
        return generation

    def _interrupt(self) -> None:
        """End a step that feeds prompts only, since somebody types; what it has fed is fed again."""
        with self._stepping:
            if self._can_wait and monotonic() - self._interrupted >= _INTERRUPT_GAP_S and self._runtime is not None:
                self._interrupted = monotonic()
                self._runtime.abort(True)

    def _cancel(self, sequence: Sequence) -> None:
        sequence.cancelled = True
        self.line.leave(sequence)
        with self._stepping:
            if self._fed_alone is sequence and self._runtime is not None:
                self._runtime.abort(True)
        self.line.wake()

    def halt(self) -> None:
        """End the decode loop after its current step; generations under way fail with `Unavailable`."""
        self._stopping = True
        self.line.wake()

    async def stop(self) -> None:
        """`halt`, then wait until the thread has ended and the model is freed."""
        self.halt()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _main(self) -> None:
        _show_name(self._thread)
        draft_model: DraftModel | None = None
        runtime: Runtime | None = None
        scheduler: Scheduler | None = None
        end: RequestError = Unavailable("The server is stopping.", retry_after=5)
        state: State = "stopped"
        try:
            if self._options.draft_model is not None and self._options.speculation == "auto":
                # First, so that the model's context is planned from the GPU memory that is left.
                draft_model = DraftModel(self._options.draft_model, self._options)
            runtime = self._load(self._options)
            if draft_model is not None:
                draft_model.check(runtime)
            runtime.warm_up()
            costs = Costs(runtime.measure(MEASURED) if self._options.speculation == "auto" else {})
            scheduler = Scheduler(
                runtime,
                self._options.n_slots,
                self.line,
                self.stats,
                cache_bytes=self._options.cache_mib << 20,
                costs=costs,
                draft_model=draft_model,
            )
            self._load_state(runtime, scheduler)
            self._runtime, self.scheduler = runtime, scheduler
            self.state = "ready"
            self._poster.post(self._changed.set)
            event(_log, "model_ready", context=runtime.n_ctx, slots=self._options.n_slots, batch=runtime.n_batch)
            self._work(runtime, scheduler)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this engine must not answer any more
            self.fault, state, end = error, "failed", InternalError()
        self.state = state
        self._end(scheduler, end)
        if runtime is not None and scheduler is not None and self.fault is None:
            self._save_state(runtime, scheduler)
        if self.fault is None:  # else the native state is not to be touched
            for loaded in (runtime, draft_model):
                if loaded is not None:
                    loaded.close()
        self._poster.post(self._changed.set)
        if self.fault is not None:
            self._poster.post(self._failed.set)
        self._poster.close()

    def _end(self, scheduler: Scheduler | None, error: RequestError) -> None:
        left = self.line.drain()
        for slot in scheduler.slots if scheduler else ():
            if slot.sequence is not None:
                left.append(slot.sequence)
                slot.sequence.close()
                slot.sequence = None
        for sequence in left:
            self._outbox.add(sequence, Output(error=error))
        self._outbox.post()

    def _load_state(self, runtime: Runtime, scheduler: Scheduler) -> None:
        folder = self._options.state_dir
        if folder is None or not self._options.cache_mib:
            return
        try:
            made_with = fingerprint(self._options.model, runtime.kv_layout)
            whole = state_files.load(scheduler.cache.tree, folder, made_with, self._options.state_key)
        except OSError as error:
            raise SettingsError(f"state_dir: {folder}: can't be read: {error.strerror or error}.") from error
        scheduler.cache.warm()
        if scheduler.cache.used:
            runtime.warm_up_beside(scheduler.cache.used)
        event(_log, "state_loaded", segments=len(scheduler.cache.tree), whole=whole)

    def _save_state(self, runtime: Runtime, scheduler: Scheduler) -> None:
        folder = self._options.state_dir
        if folder is None or not self._options.cache_mib:
            return
        try:
            self._tick = monotonic()  # it takes a while, and is no hang
            scheduler.cache.park_all()
            self._tick = monotonic()
            made_with = fingerprint(self._options.model, runtime.kv_layout)
            size = state_files.save(scheduler.cache.tree, folder, made_with, self._options.state_key)
            event(_log, "state_saved", segments=len(scheduler.cache.tree), mib=size >> 20)
        except OSError as error:
            event(_log, "state_not_saved", level=logging.ERROR, errno=error.errno)

    def _work(self, runtime: Runtime, scheduler: Scheduler) -> None:
        batch = Batch(runtime.n_batch, runtime.n_sequences)
        while not self._stopping:
            self._tick = monotonic()
            for slot in scheduler.slots:
                if slot.sequence is not None and slot.sequence.cancelled:
                    scheduler.release(slot)
                    self.stats.cancelled += 1
            scheduler.admit()
            if all(slot.sequence is None for slot in scheduler.slots):
                self.line.wait(_IDLE_TICK_S)
                continue
            runs = self._decode(runtime, scheduler, batch)
            self._sample(runtime, scheduler, runs)
            self._outbox.post()

    def _decode(self, runtime: Runtime, scheduler: Scheduler, batch: Batch) -> list[Run]:
        limit = batch.capacity
        while runs := scheduler.compose(batch, limit):
            started = monotonic()
            try:
                decoded = scheduler.fits(batch) and self._step(runtime, batch, runs)
            except Aborted:
                scheduler.undo(runs)
                self.stats.aborted_steps += 1
                return []
            if decoded:
                seconds = monotonic() - started
                self.stats.steps += 1
                self.stats.decode_s += seconds
                scheduler.took(runs, seconds)
                self.stats.fed_tokens += scheduler.commit(runs)
                return runs
            if scheduler.make_room():
                continue
            if limit > 1 and batch.size > 1:
                limit = batch.size // 2
                continue
            slot = runs[0].slot
            if slot.sequence is not None:
                begun = slot.sequence.progress.generated_tokens > 0
                self._outbox.add(slot.sequence, Output(finish="length") if begun else Output(error=InternalError()))
            scheduler.release(slot)
        return []

    def _step(self, runtime: Runtime, batch: Batch, runs: list[Run]) -> bool:
        """Decode. A client that leaves while hardly anything but its prompt is fed ends the step, and typing does."""
        if any(map(_feeds, runs)):
            self._outbox.post(at_once=True)  # a prompt takes a while
        largest = max(runs, key=lambda run: run.size)
        alone = len(runs) == 1 if runtime.memory.by_checkpoints else largest.size > batch.size // 2
        with self._stepping:
            self._fed_alone = largest.slot.sequence if alone else None
            self._can_wait = not runtime.memory.by_checkpoints and all(_can_wait(run) for run in runs)
            runtime.abort(self._fed_alone is not None and self._fed_alone.cancelled)
        try:
            return runtime.decode(batch)
        finally:
            with self._stepping:
                self._fed_alone, self._can_wait = None, False
                runtime.abort(False)

    def _sample(self, runtime: Runtime, scheduler: Scheduler, runs: list[Run]) -> None:
        for run in runs:
            sequence = run.slot.sequence
            if run.output is None or sequence is None or sequence.cancelled:
                continue
            right = 0
            while True:
                output = sequence.sample(runtime, run.output - len(run.draft) + right)
                self.stats.generated_tokens += 1
                if output.text or output.logprobs or output.finish is not None:
                    self._outbox.add(sequence, output)
                if output.finish is not None or right == len(run.draft) or sequence.tokens[-1] != run.draft[right]:
                    break
                right += 1
            if run.draft:
                scheduler.settle(run, right)
            if output.finish is not None:
                if sequence.progress.admitted is not None:
                    self.line.served(monotonic() - sequence.progress.admitted)
                scheduler.release(run.slot)


def _feeds(run: Run) -> bool:
    """Whether it is of a prompt."""
    sequence = run.slot.sequence
    return sequence is not None and sequence.progress.first_token is None


def _can_wait(run: Run) -> bool:
    return _feeds(run) and run.slot.sequence is not None and run.slot.sequence.request.kind != "fim"


def _show_name(thread: threading.Thread) -> None:
    """Tell Linux the thread's name, as Python itself does from 3.14 on."""
    with contextlib.suppress(OSError):
        Path(f"/proc/self/task/{thread.native_id}/comm").write_text(thread.name, encoding="utf-8")
