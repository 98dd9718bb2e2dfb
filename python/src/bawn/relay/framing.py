"""Cutting a byte stream at event borders, so that what reaches the client is always whole events."""

from typing import Final

from bawn.contracts.sse import last_boundary

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""No server sends events of this size; past it the stream is broken, not held."""


class Framer:
    """Passes complete events on at once and holds the start of an incomplete one back.

    A client can do nothing with half an event, so that holding it costs no time; and an upstream that dies in
    the middle of one leaves a stream that an error event can be added to.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """The events that `chunk` completes, as they came; empty when it completes none.

        Raises:
            ValueError: an event grows past `MAX_EVENT_BYTES`.
        """
        if not self._held and chunk.endswith(b"\n\n"):
            return chunk
        self._held += chunk
        cut = last_boundary(self._held)
        if not cut:
            if len(self._held) > MAX_EVENT_BYTES:
                raise ValueError("event too large")
            return b""
        events = bytes(self._held[:cut])
        del self._held[:cut]
        return events

    @property
    def rest(self) -> bytes:
        """The incomplete event that is held back."""
        return bytes(self._held)
