"""Beginnings of prompts in host memory: a tree of segments, each of which many sessions may share."""

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Final, NamedTuple

from bawn.model_server.engine.memory import NOTHING, Bytes, Span
from bawn.model_server.engine.slots import common_prefix

SEGMENT: Final = 512
"""Tokens of a segment, where the model's memory can be cut anywhere."""
AGE_S: Final = 300.0
"""Within so long a session comes back, as a rule; whoever has been away for longer is missed less."""
BEFORE_LAST: Final = 4
"""How much sooner than other inner checkpoints the last but one is used: by an answer that is asked for again."""
_TOKEN_BYTES: Final = 8


class Segment:
    """Tokens that follow those of its parents, with their keys and values."""

    def __init__(self, tokens: list[int], data: Bytes, state: Bytes, parent: "Segment | None", used: float) -> None:
        self.tokens = tokens
        self.data = data
        self.state = state
        """The checkpoint at the segment's end, for models that need one to go on from there; empty: given up."""
        self.parent = parent
        self.children: list[Segment] = []
        self.used = used
        self.start: int = parent.end if parent is not None else 0
        self.end = self.start + len(tokens)

    @property
    def bytes(self) -> int:
        """Host memory that it takes."""
        return len(self.data) + len(self.state) + _TOKEN_BYTES * len(self.tokens)

    @property
    def chain(self) -> "list[Segment]":
        """The segments from the beginning to this one."""
        above = self.parent.chain if self.parent is not None else []
        return [*above, self]


class Match(NamedTuple):
    """What of a prompt is there."""

    path: list[Segment]
    length: int
    """Tokens; the last segment of the path may be used in part."""

    def spans(self, start: int) -> list[Span]:
        """What has to be loaded by a sequence that holds the first `start` tokens."""
        return [Span(one.start, one.end, one.data) for one in self.path if one.end > start]

    @property
    def state(self) -> Bytes:
        """The checkpoint at `length`."""
        return self.path[-1].state if self.path else NOTHING


class PrefixTree:
    """Segments up to a limit of bytes. Used by the engine thread alone."""

    def __init__(self, limit: int, *, whole: bool, now: Callable[[], float] = monotonic) -> None:
        """An empty tree.

        Args:
            limit: bytes; 0 keeps nothing.
            whole: segments are of use only as a whole and up to a checkpoint, from which alone the model goes on.
            now: seconds.
        """
        self.limit = limit
        self.bytes = 0
        self.full = False
        """Something was given up already, so that whatever comes in pushes something out."""
        self._whole = whole
        self._now = now
        self._root = Segment([], NOTHING, NOTHING, None, now())

    def match(self, tokens: Sequence[int], most: int) -> Match:
        """The longest beginning of `tokens` that can be gone on from, at most `most` of them."""
        path, length = self._walk(tokens, most)
        if self._whole:
            while path and not len(path[-1].state):
                path.pop()
            length = path[-1].end if path else 0
        for one in path:
            one.used = self._now()
        return Match(path, length)

    def _walk(self, tokens: Sequence[int], most: int) -> tuple[list[Segment], int]:
        path: list[Segment] = []
        length, at = 0, self._root
        while True:
            best, shared = None, 0
            for child in at.children:
                size = common_prefix(child.tokens, list(tokens[at.end : at.end + len(child.tokens)]))
                size = min(size, most - at.end)
                if self._whole and size < len(child.tokens):
                    continue
                if size > shared:
                    best, shared = child, size
            if best is None:
                return path, length
            path.append(best)
            length += shared
            if shared < len(best.tokens):
                return path, length
            at = best

    def end_of(self, tokens: Sequence[int]) -> Segment | None:
        """The last segment that lies wholly within `tokens`, in a chain from the beginning."""
        path, length = self._walk(tokens, len(tokens))
        whole = [one for one in path if one.end <= length]
        return whole[-1] if whole else None

    def add(
        self, parent: Segment | None, tokens: list[int], data: Bytes, state: Bytes, *, idle_s: float = 0.0
    ) -> Segment:
        """Put a segment after `parent`. The limit is kept by `trim`, which is to be called when all are added.

        Args:
            parent: None: it begins a chain.
            tokens: of the segment alone.
            data: their keys and values.
            state: the checkpoint at its end.
            idle_s: for how long it has not been used.
        """
        above = parent or self._root
        used = self._now() - idle_s
        segment = Segment(tokens, data, state, None if above is self._root else above, used)
        above.children.append(segment)
        self.bytes += segment.bytes
        return segment

    def idle_s(self, segment: Segment) -> float:
        """For how long the segment has not been used."""
        return self._now() - segment.used

    def trim(
        self, beside: int = 0, *, keep: Segment | None = None, closing: bool = False, inner_only: bool = False
    ) -> None:
        """Give up what is missed least until the limit is kept.

        Args:
            beside: bytes that others take of the same limit.
            keep: the end of a chain that goes last.
            closing: nothing comes in any more, so that whoever was here last is who comes back first.
            inner_only: give up no more than inner checkpoints, where there are any.
        """
        while self._root.children and self.bytes + beside > self.limit:
            self.full = True
            if self._whole and self._give_up_inner():
                continue
            if inner_only:
                return
            if self._whole:
                self._give_up_chain(keep, closing=closing)
            else:
                self._give_up_end()

    def _give_up_end(self) -> None:
        """Of chains that can be cut anywhere, the end of the deepest goes, and age makes one look deeper.

        Sessions that come by in turn lose their ends alike and keep their beginnings, where the usual order, longest
        unused first, would give up just the session that comes next.
        """
        self._drop(max(self._leaves(), key=lambda one: one.end * (1 + self.idle_s(one) / AGE_S)))

    def _give_up_inner(self) -> bool:
        """Of chains that are of use up to a checkpoint, give up an inner one, which edited prompts alone would use.

        The first of a chain stays, since others may begin with it.
        """
        inner = [one for one in self._all() if len(one.state) and len(one.children) == 1 and one.parent is not None]
        if inner:
            least = min(inner, key=lambda one: _way_back(one) / (1 + self.idle_s(one) / AGE_S))
            self.bytes -= len(least.state)
            least.state = NOTHING
        return bool(inner)

    def _give_up_chain(self, keep: Segment | None, *, closing: bool) -> None:
        """Of whole chains, one that has rested for long goes; among the others the one that was used last: where
        sessions come by in turn, it is the one that is needed last."""
        leaves = [one for one in self._leaves() if one is not keep] or self._leaves()
        if closing:
            leaf = min(leaves, key=lambda one: one.used)
        else:
            leaf = max(leaves, key=lambda one: (self.idle_s(one) // AGE_S, one.used))
        while True:
            above = leaf.parent
            self._drop(leaf)
            if above is None or above.children or len(above.state):
                return
            leaf = above

    def _drop(self, segment: Segment) -> None:
        (segment.parent or self._root).children.remove(segment)
        self.bytes -= segment.bytes

    def _leaves(self) -> list[Segment]:
        return [one for one in self._all() if not one.children]

    def latest(self) -> list[Segment]:
        """The ends of all chains, the one that was used last first."""
        return sorted(self._leaves(), key=lambda one: -one.used)

    def _all(self) -> Iterator[Segment]:
        pending = list(self._root.children)
        while pending:
            segment = pending.pop()
            yield segment
            pending += segment.children

    def segments(self) -> Iterator[Segment]:
        """All segments, each after its parent."""
        return self._all()

    def __len__(self) -> int:
        return sum(1 for _ in self._all())


def _way_back(segment: Segment) -> float:
    """Tokens that a prompt that leaves the chain here would have to feed without the segment's checkpoint."""
    above = segment.parent
    while above is not None and not len(above.state):
        above = above.parent
    tokens = segment.end - (above.end if above is not None else 0)
    return tokens * (1 if segment.children[0].children else BEFORE_LAST)
