"""From an engine's thread to the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

_NAME: Final = "post"


class Poster:
    """Calls functions on an event loop, in the order in which they were posted.

    A thread of its own wakes the loop: whoever does so gives the interpreter away and has it back only when the loop
    has done its work, and an engine would come to its next decode step so much later.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., None], tuple[object, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call on this loop from now on, and what was posted before, too."""
        self._thread = threading.Thread(target=self._main, args=(loop,), name=_NAME, daemon=True)
        self._thread.start()

    def post(self, call: Callable[..., None], *args: object) -> None:
        """Call it soon. Any thread may ask for it."""
        self._calls.put((call, args))

    def close(self) -> None:
        """Wait until the loop knows of everything that was posted; what is posted later goes nowhere."""
        self._calls.put(None)
        if self._thread is not None:
            self._thread.join()

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        while (posted := self._calls.get()) is not None:
            call, args = posted
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(call, *args)
