"""Token bytes to text that may be sent: whole code points only, and nothing of a stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns the bytes of one generation, piece by piece, into text that can't be taken back."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """A stop string has come; nothing more will."""

    def push(self, piece: bytes) -> str:
        """Text that `piece` makes certain: everything but what could still begin a stop string."""
        text = self._decoder.decode(piece)
        if not self._stops or not text:
            return text
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> str:
        """What was held back, now that no stop string can come. Half a code point at the end is dropped."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, short of the whole of it."""
    for size in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
