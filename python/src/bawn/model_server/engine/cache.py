"""Where a prompt is put, so that as little of it as possible is computed again."""

from collections.abc import Container
from time import monotonic
from typing import Final, NamedTuple

from bawn.model_server.engine.memory import NOTHING, Memory
from bawn.model_server.engine.prefixes import AGE_S, BEFORE_LAST, SEGMENT, Match, PrefixTree, Segment
from bawn.model_server.engine.slots import Checkpoint, Slot, common_prefix
from bawn.model_server.engine.stats import Stats

WORTH: Final = 64
"""Tokens that are worth being copied; fewer are computed again."""
SMALL_LOSS: Final = 256
"""A prompt that makes a slot lose no more than this goes on in it: the next turn of its session."""


class Source(NamedTuple):
    """A slot that holds a beginning of a prompt."""

    length: int
    slot: Slot
    checkpoint: Checkpoint | None = None
    """By which the slot, or a copy of it, gets to `length`."""


class PromptCache:
    """The slots of one context and the beginnings in host memory. Used by the engine thread alone."""

    def __init__(self, memory: Memory, slots: list[Slot], tree: PrefixTree, n_cells: int, stats: Stats) -> None:
        self._memory = memory
        self.slots = slots
        self.tree = tree
        self._n_cells = n_cells
        self._stats = stats

    @property
    def used(self) -> int:
        """Cells that are taken; what several slots share counts once."""
        return sum(slot.cells for slot in self.slots)

    def seat(self, tokens: list[int], idle: list[Slot]) -> tuple[Slot, int]:
        """Put the beginning of `tokens` into one of the `idle` slots.

        The last token of a prompt is always left out, since it is fed for its logits.

        Returns:
            The slot, which holds nothing but that beginning, and its length.
        """
        most = len(tokens) - 1
        source = max((self._usable(slot, tokens, most) for slot in self.slots), key=_preference)
        match = self.tree.match(tokens, most)
        if match.length < source.length + WORTH:
            match = Match([], 0)
        start = 0 if self._memory.by_checkpoints and match.length else source.length
        target = self._target(idle, source if start else None)
        # From here on the target's own content is lost, but for what is taken over from it.
        in_place = start > 0 and target is source.slot
        if len(target.held) - (start if in_place else 0) >= WORTH:
            self.park(target)
        if in_place:
            self._go_back(target, source)
        else:
            self.empty(target)
            if start:
                self._share(source, target, start)
        if match.length > len(target.held):
            self._load(target, tokens, match, keep=source.slot)
        return target, len(target.held)

    def _usable(self, slot: Slot, tokens: list[int], most: int) -> Source:
        """How much of the prompt the slot is good for."""
        length = min(common_prefix(slot.held, tokens), most)
        if not self._memory.by_checkpoints:
            return Source(length, slot)
        # The state is that of the slot's end: it goes on from there, and only where nobody else works on it.
        if length == len(slot.held) and slot.sequence is None:
            return Source(length, slot)
        usable = [one for one in slot.checkpoints if one.length <= length]
        return Source(usable[-1].length, slot, usable[-1]) if usable else Source(0, slot)

    def _target(self, idle: list[Slot], source: Source | None) -> Slot:
        if source is not None and source.slot in idle and len(source.slot.held) - source.length <= SMALL_LOSS:
            return source.slot
        return min(idle, key=self._missed)

    def _missed(self, slot: Slot) -> tuple[float, ...]:
        """How much the slot's content is missed when it is lost: nothing first, then what was used longest ago.

        Once host memory is full, whatever is parked pushes something else out. Of slots that rested alike, the one of
        which most is parked already goes.
        """
        if not slot.held or not self.tree.full:
            return bool(slot.held), slot.used
        last = self.tree.end_of(slot.held)
        unparked = len(slot.held) - (last.end if last else 0)
        return 1, -((monotonic() - slot.used) // AGE_S), unparked, slot.used

    def _go_back(self, slot: Slot, source: Source) -> None:
        if source.length == len(slot.held):
            return
        if source.checkpoint is None:
            self.cut(slot, source.length)
        else:
            self._roll_back(slot, source.checkpoint)

    def _roll_back(self, slot: Slot, to: Checkpoint) -> None:
        self._hand_over(slot, to.length)
        slot.shorten(to.length if self._memory.roll_back(slot.number, to.state, to.length) else 0)

    def _share(self, source: Source, target: Slot, length: int) -> None:
        by_checkpoints = self._memory.by_checkpoints
        self._memory.share(source.slot.number, target.number, len(source.slot.held) if by_checkpoints else length)
        if source.checkpoint is not None and not self._memory.roll_back(target.number, source.checkpoint.state, length):
            return
        target.held = source.slot.held[:length]
        target.checkpoints = [one for one in source.slot.checkpoints if one.length <= length]
        target.owner, target.shared = source.slot, length

    def _load(self, target: Slot, tokens: list[int], match: Match, *, keep: Slot) -> None:
        spans = match.spans(len(target.held))
        needed = match.length - len(target.held) + max(span.end - span.start for span in spans)
        while self.used + needed > self._n_cells:
            if not self._forget_one(keep=(target, keep)):
                return
        if self._memory.load(target.number, len(target.held), spans, match.state, match.length):
            self._stats.loaded_tokens += match.length - len(target.held)
            target.held = tokens[: match.length]
            target.checkpoints = [Checkpoint(one.end, one.state) for one in match.path if len(one.state)]
        else:
            self._hand_over(target, 0)
            target.shorten(0)

    def park(self, slot: Slot) -> None:
        """Copy what the slot holds into host memory, as far as it isn't there."""
        if self.tree.limit:
            self._trim(keep=self._park(slot))

    def park_all(self) -> None:
        """The same for every slot, before the end."""
        for slot in self.slots if self.tree.limit else ():
            self._park(slot)
        self.tree.trim(closing=True)

    def _park(self, slot: Slot) -> Segment | None:
        last = self.tree.end_of(slot.held)
        start = last.end if last else 0
        if self._memory.by_checkpoints:
            return self._park_checkpoints(slot, last, start)
        for at in range(start, len(slot.held), SEGMENT):
            end = min(at + SEGMENT, len(slot.held))
            if end - at >= WORTH or end < len(slot.held):
                last = self._keep(slot, last, at, end, Checkpoint(end, NOTHING))
        return last

    def _trim(self, keep: Segment | None = None) -> None:
        """Keep host memory within its limit, the checkpoints of slots included.

        Those that are of use to edited prompts alone go before sessions do, in the tree and then in the slots.
        """
        self.tree.trim(self._unparked_bytes(), inner_only=True)
        while self.tree.bytes + self._unparked_bytes() > self.tree.limit and self._thin_out_one():
            pass
        self.tree.trim(self._unparked_bytes(), keep=keep)
        while 0 < self.tree.limit < self._checkpoint_bytes() and self._give_up_one():
            pass

    def _park_checkpoints(self, slot: Slot, last: Segment | None, start: int) -> Segment | None:
        ends = [one for one in slot.checkpoints if one.length > start]
        if len(slot.held) - (ends[-1].length if ends else start) >= WORTH:
            ends.append(Checkpoint(len(slot.held), self._memory.checkpoint(slot.number)))
        for end in ends:
            last = self._keep(slot, last, start, end.length, end)
            start = end.length
        return last

    def _keep(self, slot: Slot, last: Segment | None, start: int, end: int, checkpoint: Checkpoint) -> Segment:
        data = self._memory.save(slot.number, start, end)
        self._stats.parked_tokens += end - start
        return self.tree.add(last, slot.held[start:end], data, checkpoint.state, idle_s=monotonic() - slot.used)

    def warm(self) -> None:
        """Put the sessions of the tree that were used last into the slots, as they were before a restart."""
        free = [slot for slot in self.slots if not slot.held and slot.sequence is None and not slot.reserved]
        for slot, leaf in zip(free, self.tree.latest(), strict=False):
            path = leaf.chain
            tokens = [token for one in path for token in one.tokens]
            if self.used + len(tokens) + max(len(one.tokens) for one in path) <= self._n_cells:
                self._load(slot, tokens, Match(path, leaf.end), keep=slot)
                slot.used = monotonic() - self.tree.idle_s(leaf)

    def take_checkpoint(self, slot: Slot) -> None:
        """Remember the slot's state as it is now."""
        length = len(slot.held)
        slot.checkpoints.append(Checkpoint(length, self._memory.checkpoint(slot.number)))
        self._thin_out()
        self._trim()

    def _thin_out(self) -> None:
        """Give up checkpoints of slots until they take no more than half of what host memory may."""
        while self._checkpoint_bytes() > self.tree.limit // 2 and self._thin_out_one():
            pass

    def _thin_out_one(self) -> bool:
        """Give up the checkpoint of a slot that is nearest to the one before it; False: none can be.

        The first, with which others begin too, and the last, by which the slot's own session goes on, stay.
        """
        inner = [(slot, at) for slot in self.slots for at in range(1, len(slot.checkpoints) - 1)]
        if inner:
            slot, at = min(inner, key=lambda one: _way_back(*one))
            del slot.checkpoints[at]
        return bool(inner)

    def _give_up_one(self) -> bool:
        """Where the limit has no room for the first and last checkpoints of all slots: give up the first that is left
        of the slot that rested longest; False: a busy slot has only its last."""
        some = [slot for slot in self.slots if len(slot.checkpoints) > (slot.sequence is not None)]
        if some:
            del min(some, key=lambda slot: (slot.sequence is not None, slot.used)).checkpoints[0]
        return bool(some)

    def _checkpoint_bytes(self, but: Container[int] = ()) -> int:
        states = {id(one.state): one.state.nbytes for slot in self.slots for one in slot.checkpoints}
        return sum(size for state, size in states.items() if state not in but)

    def _unparked_bytes(self) -> int:
        return self._checkpoint_bytes(but={id(one.state) for one in self.tree.segments()})

    def cut(self, slot: Slot, length: int) -> None:
        """Make the slot hold its first `length` tokens only, or nothing where it can't."""
        self._hand_over(slot, length)
        slot.shorten(length if self._memory.cut(slot.number, length) else 0)

    def undo(self, slot: Slot) -> None:
        """The slot took part in a decode step that was broken off: what it held is whole again, up to a checkpoint
        where the model goes back by those alone."""
        last = slot.checkpoints[-1] if slot.checkpoints else None
        if not self._memory.by_checkpoints:
            self.cut(slot, len(slot.held))
        elif last is None:
            self.empty(slot)
        else:
            self._roll_back(slot, last)

    def forget(self, slot: Slot) -> None:
        """Empty the slot; what it held is kept in host memory, where there is room."""
        if len(slot.held) >= WORTH:
            self.park(slot)
        self.empty(slot)

    def _forget_one(self, keep: tuple[Slot, ...]) -> bool:
        idle = [slot for slot in self.slots if slot.sequence is None and slot.held and slot not in keep]
        if not idle:
            return False
        self.forget(min(idle, key=lambda slot: slot.used))
        return True

    def forget_idle(self) -> bool:
        """Empty the idle slot that was used longest ago. False: there is none."""
        return self._forget_one(keep=())

    def empty(self, slot: Slot) -> None:
        """Empty the slot; what it held is lost."""
        self._hand_over(slot, 0)
        self._memory.clear(slot.number)
        slot.shorten(0)
        slot.owner = None

    def _hand_over(self, slot: Slot, length: int) -> None:
        """Cells beyond `length` that others share with the slot become the others'."""
        heirs = [one for one in self.slots if one.owner is slot and one.shared > length]
        heirs.sort(key=lambda one: -one.shared)
        if not heirs:
            return
        first, *others = heirs
        for heir in others:
            heir.owner = first
        if slot.owner is not None and slot.shared >= length:
            first.owner, first.shared = slot.owner, min(slot.shared, first.shared)
        else:
            first.shared = length


def _preference(source: Source) -> tuple[int, bool, float]:
    return source.length, source.slot.sequence is None, source.slot.used


def _way_back(slot: Slot, at: int) -> float:
    """Tokens that a prompt that leaves the slot's here would have to feed without its checkpoint number `at`, not 0."""
    of = slot.checkpoints
    return (of[at].length - of[at - 1].length) * (BEFORE_LAST if at == len(of) - 2 else 1)
