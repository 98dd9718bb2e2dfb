"""One record for each request: begun when it comes, logged and counted when it has ended."""

import logging
import time

from litestar.exceptions import HTTPException

from bawn.contracts.errors import BY_STATUS, InternalError, Overloaded, RequestError
from bawn.contracts.record import RequestRecord, Surface
from bawn.gateway.metrics import Metrics
from bawn.relay.response import CLIENT_LEFT
from bawn.service import logs

_log = logging.getLogger("bawn.gateway.requests")


class Ledger:
    """Begins entries, and bounds how many are open."""

    def __init__(self, metrics: Metrics, *, max_in_flight: int) -> None:
        self._metrics = metrics
        self._max_in_flight = max_in_flight

    def begin(self, surface: Surface) -> "Entry":
        """A request has come; whoever gets the entry ends it."""
        self._metrics.in_flight += 1
        return Entry(RequestRecord(surface=surface), self)

    def admit(self) -> None:
        """Let a request whose key is known go on.

        Raises:
            Overloaded: as many as there may be are under way.
        """
        if self._metrics.in_flight > self._max_in_flight:
            raise Overloaded("The gateway has as many requests under way as it takes; try again.", retry_after=1)

    def close(self, record: RequestRecord) -> None:
        """Log and count a request that has ended."""
        self._metrics.in_flight -= 1
        self._metrics.ended(record)
        logs.record(_log, "request", record)


class Entry:
    """A request under way."""

    def __init__(self, record: RequestRecord, ledger: Ledger) -> None:
        self.record = record
        self._ledger = ledger
        self._began = time.monotonic()
        self._open = True

    def end(self, *, status: int | None = None) -> None:
        """The request has ended; ends after the first change nothing."""
        if not self._open:
            return
        self._open = False
        if status is not None:
            self.record.status = status
        if self.record.total_s is None:
            self.record.total_s = round(time.monotonic() - self._began, 6)
        self._ledger.close(self.record)

    def fail(self, error: BaseException) -> None:
        """The request ends with `error`, of which its class is kept and nothing else."""
        if self.record.cancelled:
            self.end(status=CLIENT_LEFT)
            return
        if isinstance(error, RequestError):
            kind = type(error)
        elif isinstance(error, HTTPException):
            kind = BY_STATUS.get(error.status_code, InternalError)
        else:
            kind = InternalError
        self.record.error = kind.code
        self.end(status=kind.status)
