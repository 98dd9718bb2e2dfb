"""Who gets a slot, and what goes into the next batch."""

from collections import Counter
from time import monotonic
from typing import Final, NamedTuple

from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.cache import PromptCache
from bawn.model_server.engine.draft_model import DraftModel, Wanted
from bawn.model_server.engine.memory import Memory
from bawn.model_server.engine.prefixes import PrefixTree
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.engine.sequence import Sequence
from bawn.model_server.engine.slots import Slot
from bawn.model_server.engine.speculation import Costs, draft_length
from bawn.model_server.engine.stats import Stats
from bawn.model_server.engine.waiting import RANKS, WaitingLine

SMOOTH_S: Final = 0.15
"""So long may a step take in which prompts are fed beside answers under way."""
PROMPT_S: Final = 0.06
"""So long may a step take while people type: the next autocomplete may come in the middle of it."""
TYPING_S: Final = 10.0
"""People type for so long after their last autocomplete."""
LEAST_CHUNK: Final = 32
HUNGRY_S: Final = 0.5
"""A prompt that has got nothing for so long gets a share of a step, however urgent others are."""
HUNGRY_SHARE: Final = 4
"""One part of so many of what a step may feed."""


class Run(NamedTuple):
    """Tokens of one slot in a batch.

    `output` is the batch index of the last token whose logits are there, or None; those of a draft come just before it.
    """

    slot: Slot
    size: int
    output: int | None
    draft: list[int]
    by_model: bool = False
    """A draft model gave it."""


class Guess(NamedTuple):
    """What may come next in a sequence."""

    draft: list[int]
    by_model: bool = False


class Scheduler:
    """The slots of one runtime. Used by the engine thread alone."""

    def __init__(
        self,
        runtime: Runtime,
        n_slots: int,
        line: WaitingLine,
        stats: Stats,
        *,
        cache_bytes: int,
        costs: Costs,
        draft_model: DraftModel | None = None,
    ) -> None:
        """Idle slots.

        Args:
            runtime: the model.
            n_slots: requests that are decoded at the same time; one more for autocomplete, where the model has it.
            line: who waits.
            stats: what is done is counted here.
            cache_bytes: host memory for beginnings of prompts; none is taken for a model with sliding windows.
            costs: of decode steps; without any, nothing is drafted.
            draft_model: guesses where the prompt gives no hint.
        """
        self._runtime = runtime
        self._memory: Memory = runtime.memory
        self._line = line
        self._stats = stats
        self.costs = costs
        self._draft_model = draft_model
        self._fim_at = float("-inf")
        self._prefill_rate = 0.0  # tokens a second
        slots = [Slot(number) for number in range(n_slots)]
        if runtime.vocabulary.has_fim:
            slots.append(Slot(n_slots, reserved=True))
        tree = PrefixTree(cache_bytes, whole=self._memory.by_checkpoints)
        self.cache = PromptCache(self._memory, slots, tree, runtime.n_cells, stats)

    @property
    def slots(self) -> list[Slot]:
        """All of them."""
        return self.cache.slots

    @property
    def busy(self) -> list[Slot]:
        """Slots at work, in the order in which their sequences came."""
        busy = [slot for slot in self.slots if slot.sequence is not None]
        return sorted(busy, key=lambda slot: slot.sequence.progress.submitted if slot.sequence else 0)

    def admit(self) -> None:
        """Give idle slots to waiting sequences, as long as the cache can hold all of their prompts."""
        while len(self._line) and (idle := [slot for slot in self.slots if slot.sequence is None]):
            at_work = Counter(slot.sequence.request.user for slot in self.slots if slot.sequence)
            only_fim = all(slot.reserved for slot in idle)
            sequence = self._line.next(at_work, only=_is_fim if only_fim else None)
            if sequence is None:
                return
            if sequence.cancelled:
                self._line.leave(sequence)
                continue
            if not self._fits(sequence) or not self._line.leave(sequence, served=True):
                return
            self._place(sequence, idle)

    def _fits(self, sequence: Sequence) -> bool:
        active = sum(len(slot.sequence.tokens) + 1 - slot.shared for slot in self.slots if slot.sequence)
        return not active or active + len(sequence.tokens) + 1 <= self._runtime.n_cells

    def _place(self, sequence: Sequence, idle: list[Slot]) -> None:
        if sequence.request.kind != "fim":
            idle = [slot for slot in idle if not slot.reserved]
        else:
            self._fim_at = monotonic()
            idle = [slot for slot in idle if slot.reserved] or idle
        slot, cached = self.cache.seat(sequence.tokens, idle)
        slot.sequence, slot.fed = sequence, monotonic()
        sequence.begin(cached, self._runtime.vocabulary)
        self._stats.cached_tokens += cached

    def release(self, slot: Slot) -> None:
        """Free the slot; what it holds stays for the next prompt that begins like it."""
        sequence, slot.sequence = slot.sequence, None
        slot.used = monotonic()
        if sequence is not None:
            sequence.close()

    def compose(self, batch: Batch, limit: int) -> list[Run]:
        """Fill `batch`: a token of each slot that generates, with a draft where that pays; then prompts up to `limit`.

        Of prompts, the most urgent class is fed, in equal shares for each user, and whoever has waited for too long.
        """
        batch.clear()
        limit = min(limit, batch.capacity)
        busy = self.busy
        runs: list[Run] = []
        generating = [slot for slot in busy if slot.pending == 1]
        guesses = self._guesses(generating)
        for slot in generating:
            if batch.size >= limit or slot.sequence is None:
                break
            runs.append(self._generate(batch, slot, slot.sequence, guesses.get(slot.number, Guess([])), limit))
        prompts = [slot for slot in busy if slot.pending > 1]
        if not prompts:
            return runs
        first = min(RANKS[slot.sequence.request.kind] for slot in prompts if slot.sequence)
        urgent = [slot for slot in prompts if slot.sequence and RANKS[slot.sequence.request.kind] == first]
        room = min(limit - batch.size, self._chunk(bool(generating)))
        hungry = [slot for slot in prompts if slot not in urgent and monotonic() - slot.fed > HUNGRY_S]
        shares = _shares(hungry, room // HUNGRY_SHARE)
        shares |= _shares(urgent, room - sum(shares.values()))
        for slot, share in shares.items():
            runs.append(self._feed(batch, slot, share))
        return runs

    def _guesses(self, generating: list[Slot]) -> dict[int, Guess]:
        """By slot: what the prompt hints at, else what the draft model says, where either pays."""
        guesses: dict[int, Guess] = {}
        wanted: dict[int, Wanted] = {}
        others = len(generating) - 1
        for slot in generating if self.costs.known and not self._memory.recurrent else ():
            sequence = slot.sequence
            if sequence is None or sequence.lookup is None:
                continue
            sequence.take_hint()
            most = draft_length(self.costs, sequence.chance, others)
            draft = sequence.lookup.draft(sequence.tokens, max(1, most))
            if draft and most:
                guesses[slot.number] = Guess(draft)
                continue
            sequence.hint = draft[0] if draft else None
            if self._draft_model is not None:
                token_s = self._draft_model.step_s(len(generating))
                if most := draft_length(self.costs, sequence.model_chance, others, token_s):
                    wanted[slot.number] = Wanted(sequence.tokens, most)
                else:
                    sequence.model_chance = sequence.model_chance.without()
        if self._draft_model is not None and wanted:
            drafts = self._draft_model.drafts(wanted)
            guesses |= {number: Guess(draft, by_model=True) for number, draft in drafts.items()}
        return guesses

    def _generate(self, batch: Batch, slot: Slot, sequence: Sequence, guess: Guess, limit: int) -> Run:
        start = len(slot.held)
        room = min(limit - batch.size - 1, sequence.room(self._runtime.n_ctx) - 1, self._free_cells(batch) - 1)
        draft = guess.draft[: max(0, room)]
        index = batch.add(slot.number, start, [sequence.tokens[start], *draft], outputs=1 + len(draft))
        return Run(slot, 1 + len(draft), index, draft, guess.by_model)

    def _free_cells(self, batch: Batch) -> int:
        return self._runtime.n_cells - self.cache.used - batch.size

    def _feed(self, batch: Batch, slot: Slot, size: int) -> Run:
        assert slot.sequence is not None  # noqa: S101 - only slots at work are fed
        start = len(slot.held)
        border = slot.sequence.next_border(start) if self._memory.by_checkpoints else None
        if border is not None:
            size = min(size, border - start)
        last = size == slot.pending
        index = batch.add(slot.number, start, slot.sequence.tokens[start : start + size], outputs=int(last))
        return Run(slot, size, index if last else None, [])

    def _chunk(self, generating: bool) -> int:
        """Tokens of prompts that one step may feed."""
        seconds = SMOOTH_S if generating else float("inf")
        if monotonic() - self._fim_at < TYPING_S:
            seconds = PROMPT_S
        if seconds == float("inf") or not self._prefill_rate:
            return self._runtime.n_batch
        return max(LEAST_CHUNK, int(seconds * self._prefill_rate))

    def took(self, runs: list[Run], seconds: float) -> None:
        """A step of these runs took so long."""
        size = sum(run.size for run in runs)
        prompts = sum(run.size for run in runs if run.slot.pending > 1)
        self._stats.prefill_s += seconds * prompts / size
        self._stats.generate_s += seconds * (size - prompts) / size
        if all(run.output is not None and run.slot.pending <= 1 for run in runs):
            self.costs.saw(size, seconds)
        elif size >= LEAST_CHUNK:
            rate = size / max(seconds, 1e-6)
            self._prefill_rate += (0.3 if self._prefill_rate else 1.0) * (rate - self._prefill_rate)

    def fits(self, batch: Batch) -> bool:
        """Whether the cache has a free cell for every token of the batch."""
        return self.cache.used + batch.size <= self._runtime.n_cells

    def commit(self, runs: list[Run]) -> int:
        """The batch was decoded: its tokens are in the cache. Returns how many of them were of prompts."""
        fed = 0
        for slot, size, _, draft, _ in runs:
            sequence = slot.sequence
            if sequence is None:
                continue
            start, slot.fed = len(slot.held), monotonic()
            slot.held += [*sequence.tokens[start : start + size - len(draft)], *draft]
            fed += size if sequence.progress.first_token is None else 0
            if self._memory.by_checkpoints and sequence.at_border(len(slot.held)):
                self.cache.take_checkpoint(slot)
        return fed

    def settle(self, run: Run, right: int) -> None:
        """Of the run's draft only the first `right` tokens came: the others are forgotten."""
        sequence, wrong = run.slot.sequence, len(run.draft) - right
        self._stats.drafted_tokens += len(run.draft)
        self._stats.accepted_tokens += right
        if sequence is not None and run.by_model:
            sequence.model_chance = sequence.model_chance.after(len(run.draft), right)
        elif sequence is not None and sequence.lookup is not None:
            sequence.lookup.settle(right)
            sequence.chance = sequence.chance.after(len(run.draft), right)
        if wrong:
            self.cache.cut(run.slot, len(run.slot.held) - wrong)

    def undo(self, runs: list[Run]) -> None:
        """The decode step was broken off: every sequence in it goes back to where it was, or to a checkpoint before."""
        for run in runs:
            self.cache.undo(run.slot)

    def make_room(self) -> bool:
        """Forget the idle slot that was used longest ago, else send the youngest sequence back to the line.

        False: one sequence alone fills the cache.
        """
        if self.cache.forget_idle():
            return True
        busy = self.busy
        if len(busy) < 2:
            return False
        slot = busy[-1]
        if slot.sequence is not None:
            self._line.rejoin(slot.sequence)
            slot.sequence = None
        self.cache.forget(slot)
        self._stats.preemptions += 1
        return True


def _is_fim(sequence: Sequence) -> bool:
    return sequence.request.kind == "fim"


def _shares(slots: list[Slot], room: int) -> dict[Slot, int]:
    """How many tokens of each slot's prompt are fed: equal shares for each user, what one can't use for the others."""
    shares: dict[Slot, int] = {}
    users: dict[str, list[Slot]] = {}
    for slot in slots:
        if slot.sequence is not None:
            users.setdefault(slot.sequence.request.user, []).append(slot)
    # Whoever needs least is served first, so that what they leave goes to the others.
    waiting = sorted(users.values(), key=lambda of: sum(slot.pending for slot in of))
    for number, of in enumerate(waiting):
        share = max(room // (len(waiting) - number), min(room, LEAST_CHUNK))
        for slot in of:
            size = min(share, slot.pending)
            if size <= 0:
                break
            shares[slot] = size
            share -= size
            room -= size
    return shares
