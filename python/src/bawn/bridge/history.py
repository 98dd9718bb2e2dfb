"""What the status page knows of past requests: counts and error classes, nothing of their content."""

import logging
import time
from collections.abc import Callable

import msgspec

from bawn.contracts.record import RequestRecord
from bawn.service import logs

_log = logging.getLogger("bawn.bridge")


class Failures(msgspec.Struct):
    """How often one class of error was answered, and when last (seconds since the epoch)."""

    error: str
    count: int
    last_at: float


class History:
    """Gets the record of every request."""

    def __init__(
        self, *, clock: Callable[[], float] = time.time, also: Callable[[RequestRecord], None] | None = None
    ) -> None:
        self._clock = clock
        self._also = also
        self._failures: dict[str, Failures] = {}
        self.requests = 0
        self.started_at = clock()

    def note(self, record: RequestRecord) -> None:
        """Log and count one request."""
        logs.record(_log, "request", record)
        if self._also is not None:
            self._also(record)
        self.requests += 1
        if record.error is None:
            return
        found = self._failures.setdefault(record.error, Failures(record.error, 0, 0.0))
        found.count += 1
        found.last_at = self._clock()

    def failures(self) -> list[Failures]:
        """Error classes, the latest first."""
        return sorted(self._failures.values(), key=lambda failure: -failure.last_at)
