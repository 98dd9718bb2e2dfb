"""The bounded queue between the event loop and the engine thread."""

import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final

from bawn.contracts.errors import Overloaded
from bawn.model_server.engine.sequence import Sequence

RANKS: Final = {"fim": 0, "chat": 1, "background": 2}
"""Classes of requests, the most urgent first."""
AGE_S: Final = 20.0
"""A request that has waited so long is as urgent as the next class: nobody waits for ever."""


class WaitingLine:
    """Sequences that wait for a slot. Safe from every thread.

    The most urgent class goes first; within it, whoever has the fewest requests at work, then who was served longest
    ago, then who came first.
    """

    def __init__(
        self, limit: int, n_slots: int, *, max_wait_s: float = float("inf"), now: Callable[[], float] = monotonic
    ) -> None:
        """An empty line.

        Args:
            limit: sequences that may wait.
            n_slots: that are served at the same time.
            max_wait_s: who would wait longer, by what is known, is refused at once.
            now: seconds.
        """
        self._limit = max(1, limit)
        self._n_slots = n_slots
        self._max_wait_s = max_wait_s
        self._now = now
        self._changed = threading.Condition()
        self._line: list[Sequence] = []
        self._served: dict[str, float] = {}  # user → when a request of theirs got a slot last
        self._service_s = 1.0  # moving average of how long a request holds its slot

    def __len__(self) -> int:
        return len(self._line)

    def join(self, sequence: Sequence) -> None:
        """Wait.

        Raises:
            Overloaded: the line is full, or too long; says after how many seconds a place should be free.
        """
        with self._changed:
            wait = self.expected_wait_s()
            if len(self._line) >= self._limit:
                raise Overloaded("All slots are busy and the queue is full.", retry_after=wait)
            if self._line and wait > self._max_wait_s:
                raise Overloaded("All slots are busy, and it would take too long to get one.", retry_after=wait)
            self._line.append(sequence)
            self._changed.notify()

    def rejoin(self, sequence: Sequence) -> None:
        """Wait again, whatever the limit, and go first among one's own class: a sequence that gave up its slot."""
        with self._changed:
            self._line.insert(0, sequence)

    def next(self, at_work: Counter[str], *, only: Callable[[Sequence], bool] | None = None) -> Sequence | None:
        """Who is next.

        Args:
            at_work: user → how many of their requests have a slot.
            only: of those for whom it is true.
        """
        with self._changed:
            waiting = [one for one in self._line if only is None or only(one)]
            now = self._now()

            def order(one: Sequence) -> tuple[int, int, float, float]:
                of = one.request
                rank = max(0, RANKS[of.kind] - int((now - one.progress.submitted) / AGE_S))
                # One that has begun gave up its slot for others once already.
                if one.progress.generated_tokens:
                    return rank, -1, 0.0, one.progress.submitted
                return rank, at_work[of.user], self._served.get(of.user, 0.0), one.progress.submitted

            return min(waiting, key=order, default=None)

    def leave(self, sequence: Sequence, *, served: bool = False) -> bool:
        """Stop waiting, so that the place is free at once; `served`: for a slot. False: it did not wait any more."""
        with self._changed:
            try:
                self._line.remove(sequence)
            except ValueError:
                return False
            if served:
                self._served[sequence.request.user] = self._now()
                self._forget_users()
            return True

    def _forget_users(self) -> None:
        while len(self._served) > 1024:
            del self._served[min(self._served, key=lambda user: self._served[user])]

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
