"""What decode steps bring to generations, on its way to the event loop."""

from time import monotonic
from typing import Final

from bawn.model_server.engine.sequence import Output, Sequence
from bawn.model_server.poster import Poster

GATHERED_S: Final = 0.015
"""So long a token may wait for the next one: nobody reads faster. Each waking of the event loop, and all that server
and client do for a piece of text, takes time from decoding where they share a few processors."""


class Outbox:
    """Outputs that the event loop doesn't know yet. Used by the engine's thread."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster
        self._waiting: list[tuple[Sequence, Output]] = []
        self._urgent = False
        self._posted = 0.0

    def add(self, sequence: Sequence, output: Output) -> None:
        """Note an output; the first and the last of a generation wait for nothing."""
        self._waiting.append((sequence, output))
        if not sequence.heard_of or output.finish is not None or output.error is not None:
            self._urgent = sequence.heard_of = True

    def post(self, *, at_once: bool = False) -> None:
        """Hand over what is there, in one call, if it has waited long enough or is not to wait."""
        now = monotonic()
        if self._waiting and (at_once or self._urgent or now - self._posted >= GATHERED_S):
            self._poster.post(_deliver, self._waiting)
            self._waiting, self._urgent, self._posted = [], False, now


def _deliver(outputs: list[tuple[Sequence, Output]]) -> None:
    for sequence, output in outputs:
        sequence.deliver(output)
