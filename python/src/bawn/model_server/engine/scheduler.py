"""Who gets a slot, and what goes into the next batch."""

from typing import NamedTuple

from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.engine.sequence import Sequence
from bawn.model_server.engine.slots import Slot, choose
from bawn.model_server.engine.stats import Stats
from bawn.model_server.engine.waiting import WaitingLine


class Run(NamedTuple):
    """Tokens of one slot in a batch; `output` is the batch index whose logits give the next token, or None."""

    slot: Slot
    size: int
    output: int | None


class Scheduler:
    """The slots of one runtime. Used by the engine thread alone."""

    def __init__(self, runtime: Runtime, n_slots: int, line: WaitingLine, stats: Stats) -> None:
        self._runtime = runtime
        self._line = line
        self._stats = stats
        self.slots = [Slot(number) for number in range(n_slots)]

    @property
    def busy(self) -> list[Slot]:
        """Slots at work, in the order in which their sequences came."""
        busy = [slot for slot in self.slots if slot.sequence is not None]
        return sorted(busy, key=lambda slot: slot.sequence.progress.submitted if slot.sequence else 0)

    def admit(self) -> None:
        """Give idle slots to waiting sequences, as long as the cache can hold all of their prompts."""
        while (idle := [slot for slot in self.slots if slot.sequence is None]) and (sequence := self._line.head()):
            active = sum(len(slot.sequence.tokens) + 1 for slot in self.slots if slot.sequence)
            if active and active + len(sequence.tokens) + 1 > self._runtime.n_cells:
                return
            if not self._line.leave(sequence) or sequence.cancelled:
                continue
            self._place(sequence, idle)

    def _place(self, sequence: Sequence, idle: list[Slot]) -> None:
        slot, shared = choose(idle, sequence.tokens)
        if shared < len(slot.held) and not self._runtime.cut(slot.number, shared):
            shared = 0
        del slot.held[shared:]
        slot.sequence = sequence
        sequence.begin(shared, self._runtime.vocabulary)
        self._stats.cached_tokens += shared

    def release(self, slot: Slot) -> None:
        """Free the slot; what it holds stays for the next prompt that begins like it."""
        sequence, slot.sequence = slot.sequence, None
        slot.used = self._stats.steps
        if sequence is not None:
            sequence.close()

    def compose(self, batch: Batch, limit: int) -> list[Run]:
        """Fill `batch`: one token of each slot that generates, then prompts up to `limit` tokens in all."""
        batch.clear()
        busy = self.busy
        generating = [slot for slot in busy if slot.pending == 1]
        runs: list[Run] = []
        for slot in generating + [slot for slot in busy if slot.pending > 1]:
            room = min(limit, batch.capacity) - batch.size
            if room <= 0 or slot.sequence is None:
                break
            start, size = len(slot.held), min(slot.pending, room)
            last = size == slot.pending
            index = batch.add(slot.number, start, slot.sequence.tokens[start : start + size], output=last)
            runs.append(Run(slot, size, index if last else None))
        return runs

    def fits(self, batch: Batch) -> bool:
        """Whether the cache has a free cell for every token of the batch."""
        return sum(len(slot.held) for slot in self.slots) + batch.size <= self._runtime.n_cells

    def commit(self, runs: list[Run]) -> int:
        """The batch was decoded: its tokens are in the cache. Returns how many of them were of prompts."""
        fed = 0
        for slot, size, _ in runs:
            if slot.sequence is not None:
                start = len(slot.held)
                slot.held += slot.sequence.tokens[start : start + size]
                fed += size if slot.sequence.progress.first_token is None else 0
        return fed

    def make_room(self) -> bool:
        """Forget the idle slot that was used longest ago, else send the youngest sequence back to the line.

        False: one sequence alone fills the cache.
        """
        idle = [slot for slot in self.slots if slot.sequence is None and slot.held]
        if idle:
            self._forget(min(idle, key=lambda slot: slot.used))
            return True
        busy = self.busy
        if len(busy) < 2:
            return False
        slot = busy[-1]
        if slot.sequence is not None:
            self._line.rejoin(slot.sequence)
            slot.sequence = None
        self._forget(slot)
        self._stats.preemptions += 1
        return True

    def _forget(self, slot: Slot) -> None:
        self._runtime.cut(slot.number, 0)
        slot.held.clear()
