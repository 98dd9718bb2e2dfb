"""Notices when a session's prompt no longer begins as it did: clients that move a date or a reminder ruin every cache.

It keeps hashes and positions only, never tokens.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

_SESSIONS: Final = 1024


class Break(NamedTuple):
    """A prompt that parted from the one before it."""

    message: int
    """Index of the first message that is not what it was; 0 is the first."""
    tokens: int
    """Tokens of the earlier prompt from there on, which no cache is good for any more."""


class _Mark(NamedTuple):
    position: int
    digest: bytes


class PrefixGuard:
    """The last prompt of each session. Used on one thread."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, tuple[list[_Mark], int]] = OrderedDict()

    def look(self, session: str, tokens: Sequence[int], borders: Sequence[int]) -> Break | None:
        """Remember a prompt, and compare it with the session's last one.

        Args:
            session: its name; without one nothing is compared.
            tokens: of the prompt.
            borders: where messages begin, but for the first; the last is where the answer begins.
        """
        if not session or not borders:
            return None
        marks = _marks(tokens, borders)
        before = self._last.pop(session, None)
        self._last[session] = marks, len(tokens)
        if len(self._last) > _SESSIONS:
            self._last.popitem(last=False)
        if before is None:
            return None
        earlier, length = before
        now = set(marks)
        broken = next((index for index, mark in enumerate(earlier) if mark not in now), None)
        if broken is None:
            return None
        kept = earlier[broken - 1].position if broken else 0
        return Break(broken, length - kept)


def _marks(tokens: Sequence[int], borders: Sequence[int]) -> list[_Mark]:
    rolling, at, marks = hashlib.blake2b(digest_size=8), 0, list[_Mark]()
    for border in borders:
        rolling.update(array("i", tokens[at:border]).tobytes())
        marks.append(_Mark(border, rolling.digest()))
        at = border
    return marks
