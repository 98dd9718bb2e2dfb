"""The bounded queue between the event loop and the engine thread, and what of it the next batch gets."""

import threading
from typing import Final

from bawn.contracts.errors import Overloaded
from bawn.model_server.embedding.job import EmbeddingJob
from bawn.model_server.embedding.runtime import Tokens

Piece = tuple[EmbeddingJob, int, Tokens]
"""An input: whose, its number there, its tokens."""

_NEWEST: Final = 0.2
"""Weight of the last batch in the average."""


class EmbeddingLine:
    """Requests that are not done yet. Safe from every thread.

    Who has the fewest tokens left goes first: somebody's search waits for no one's indexing. But a batch that has
    nothing of the oldest request is followed by one that begins with it, so that nobody waits for ever.
    """

    def __init__(self, limit: int, *, max_wait_s: float = float("inf")) -> None:
        """An empty line for `limit` requests; who would wait longer than `max_wait_s` is refused at once."""
        self._limit = max(1, limit)
        self._max_wait_s = max_wait_s
        self._changed = threading.Condition()
        self._jobs: list[EmbeddingJob] = []  # the oldest first
        self._passed_over: EmbeddingJob | None = None
        self._token_s = 0.001  # moving average of what a token takes

    def __len__(self) -> int:
        return len(self._jobs)

    def join(self, job: EmbeddingJob) -> None:
        """Wait.

        Raises:
            Overloaded: the line is full, or too long; says after how many seconds another try makes sense.
        """
        with self._changed:
            wait = self._expected_wait_s(job.tokens)
            if len(self._jobs) >= self._limit:
                raise Overloaded("As many requests as this server takes wait for embeddings.", retry_after=wait)
            if self._jobs and wait > self._max_wait_s:
                raise Overloaded("Too much is to be embedded before this request.", retry_after=wait)
            self._jobs.append(job)
            self._changed.notify()

    def _expected_wait_s(self, tokens: int) -> float:
        left = [job.tokens_left for job in self._jobs]
        shorter = sum(one for one in left if one <= tokens)
        # Every second batch may begin with the oldest request.
        return min(2 * shorter, sum(left)) * self._token_s

    def take(self, most_tokens: int, most_inputs: int) -> list[Piece]:
        """What the next batch computes: at most so many tokens, or one input that is longer; empty: nobody waits."""
        with self._changed:
            waiting = [job for job in self._jobs if job.next_size is not None]
            if not waiting:
                return []
            oldest = waiting[0]
            # False goes before True, and of equals the older one.
            order = sorted(waiting, key=lambda job: (job is not self._passed_over, job.tokens_left))
            pieces: list[Piece] = []
            room = most_tokens
            for job in order:
                while (size := job.next_size) is not None and len(pieces) < most_inputs:
                    if size > room and pieces:
                        break
                    pieces.append((job, *job.take()))
                    room -= size
            self._passed_over = None if any(job is oldest for job, _, _ in pieces) else oldest
            return pieces

    def leave(self, job: EmbeddingJob) -> None:
        """It is done, or nobody waits for it any more: the place is free at once."""
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)

    def drain(self) -> list[EmbeddingJob]:
        """Everybody, and the line is empty."""
        with self._changed:
            everybody = list(self._jobs)
            self._jobs.clear()
            return everybody

    def took(self, tokens: int, seconds: float) -> None:
        """A batch of `tokens` has taken `seconds`."""
        self._token_s += _NEWEST * (seconds / max(1, tokens) - self._token_s)

    def wake(self) -> None:
        """Make `wait` return."""
        with self._changed:
            self._changed.notify()

    def wait(self, timeout_s: float) -> None:
        """Block until somebody waits or `wake` is called."""
        with self._changed:
            if all(job.next_size is None for job in self._jobs):
                self._changed.wait(timeout_s)
