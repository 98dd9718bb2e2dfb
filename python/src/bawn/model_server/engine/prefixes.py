"""Beginnings of prompts in host memory: a tree of segments, each of which many sessions may share."""

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Final, NamedTuple

from bawn.model_server.engine.memory import NOTHING, Bytes, Span
from bawn.model_server.engine.slots import common_prefix

SEGMENT: Final = 512
"""Tokens of a segment, where the model's memory can be cut anywhere."""
_AGE_S: Final = 300.0
_TOKEN_BYTES: Final = 8


class Segment:
    """Tokens that follow those of its parents, with their keys and values."""

    def __init__(self, tokens: list[int], data: Bytes, state: Bytes, parent: "Segment | None", now: float) -> None:
        self.tokens = tokens
        self.data = data
        self.state = state
        """The checkpoint at the segment's end, for models that need one to go on from there."""
        self.parent = parent
        self.children: list[Segment] = []
        self.used = now
        self.start: int = parent.end if parent is not None else 0
        self.end = self.start + len(tokens)
        self.bytes = len(data) + len(state) + _TOKEN_BYTES * len(tokens)


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
            whole: segments are of use only as a whole, since the model goes on at checkpoints only.
            now: seconds.
        """
        self.limit = limit
        self.bytes = 0
        self._whole = whole
        self._now = now
        self._root = Segment([], NOTHING, NOTHING, None, now())

    def match(self, tokens: Sequence[int], most: int) -> Match:
        """The longest beginning of `tokens` that is there, at most `most` of them."""
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
                return Match(path, length)
            best.used = self._now()
            path.append(best)
            length += shared
            if shared < len(best.tokens):
                return Match(path, length)
            at = best

    def end_of(self, tokens: Sequence[int]) -> "Segment | None":
        """The last segment that lies wholly within `tokens`, in a chain from the beginning."""
        path, _ = self.match(tokens, len(tokens))
        whole = [one for one in path if common_prefix(one.tokens, list(tokens[one.start : one.end])) == len(one.tokens)]
        return whole[-1] if whole else None

    def add(self, parent: "Segment | None", tokens: list[int], data: Bytes, state: Bytes) -> Segment:
        """Put a segment after `parent`. The limit is kept by `trim`, which is to be called when all are added."""
        above = parent or self._root
        segment = Segment(tokens, data, state, None if above is self._root else above, self._now())
        above.children.append(segment)
        self.bytes += segment.bytes
        return segment

    def trim(self) -> None:
        """Give up segments until the limit is kept.

        Those at the ends of chains go first, the deepest of them, and age makes one look deeper: sessions that come by
        in turn lose their ends alike and keep their beginnings, where the usual order, longest unused first, would give
        up just the session that comes next.
        """
        while self.bytes > self.limit:
            leaves = [one for one in self._all() if not one.children]
            if not leaves:
                return
            now = self._now()
            self._drop(max(leaves, key=lambda one: one.end * (1 + (now - one.used) / _AGE_S)))

    def _drop(self, segment: Segment) -> None:
        (segment.parent or self._root).children.remove(segment)
        self.bytes -= segment.bytes

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
