"""The bounded queue between the event loop and the engine thread."""

import threading
from collections import deque

from bawn.contracts.errors import Overloaded
from bawn.model_server.engine.sequence import Sequence


class WaitingLine:
    """Sequences that wait for a slot, first come, first served. Safe from every thread."""

    def __init__(self, limit: int, n_slots: int) -> None:
        self._limit = max(1, limit)
        self._n_slots = n_slots
        self._changed = threading.Condition()
        self._line: deque[Sequence] = deque()
        self._service_s = 1.0  # moving average of how long a request holds its slot

    def __len__(self) -> int:
        return len(self._line)

    def join(self, sequence: Sequence) -> None:
        """Wait at the end.

        Raises:
            Overloaded: the line is full; says after how many seconds a place should be free.
        """
        with self._changed:
            if len(self._line) >= self._limit:
                raise Overloaded("All slots are busy and the queue is full.", retry_after=self.expected_wait_s())
            self._line.append(sequence)
            self._changed.notify()

    def rejoin(self, sequence: Sequence) -> None:
        """Wait at the head, whatever the limit: a sequence that had to give up its slot."""
        with self._changed:
            self._line.appendleft(sequence)

    def head(self) -> Sequence | None:
        """Who is next."""
        with self._changed:
            return self._line[0] if self._line else None

    def leave(self, sequence: Sequence) -> bool:
        """Stop waiting, so that the place is free at once. False: it did not wait any more."""
        with self._changed:
            try:
                self._line.remove(sequence)
            except ValueError:
                return False
            return True

    def drain(self) -> list[Sequence]:
        """Everybody, and the line is empty."""
        with self._changed:
            everybody = list(self._line)
            self._line.clear()
            return everybody

    def wake(self) -> None:
        """Make `wait` return."""
        with self._changed:
            self._changed.notify()

    def wait(self, timeout_s: float) -> None:
        """Block until somebody waits or `wake` is called."""
        with self._changed:
            if not self._line:
                self._changed.wait(timeout_s)

    def served(self, seconds: float) -> None:
        """A request has held its slot for `seconds`."""
        self._service_s += 0.2 * (seconds - self._service_s)

    def expected_wait_s(self) -> float:
        """Seconds until somebody who joins a full line now would get a slot, from recent requests."""
        return self._service_s * (len(self._line) + 1) / self._n_slots
