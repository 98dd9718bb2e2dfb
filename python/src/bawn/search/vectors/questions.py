"""Vectors of questions: at once or not at all, since the words have found an answer meanwhile."""

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from threading import Lock
from typing import Final

from bawn.contracts.errors import RequestError
from bawn.search.vectors.client import EmbeddingClient
from bawn.search.vectors.stored import ByteVector, from_bytes, to_bytes

WITHIN_S: Final = 0.25
"""A question waits no longer for its vector."""
_SICK_S: Final = 15.0
"""After a failure the words answer alone for so long."""
_KEPT: Final = 256

LATE: Final = "the embedding model took too long"


class QuestionVectors:
    """Embeds questions with the first of some servers that answers. Methods may be called from several threads."""

    def __init__(self, clients: Sequence[EmbeddingClient], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._threads = ThreadPoolExecutor(4, "question-vectors")
        weakref.finalize(self, self._threads.shutdown, wait=False)
        self._lock = Lock()
        self._kept: OrderedDict[str, ByteVector] = OrderedDict()
        self._sick: tuple[float, str] | None = None
        """Until when nobody is asked, and why."""

    def begin(self, text: str) -> "Pending":
        """Start to embed a question."""
        with self._lock:
            kept = self._kept.get(text)
            if kept is not None:
                self._kept.move_to_end(text)
                return Pending(kept)
            if self._sick is not None and self._clock() < self._sick[0]:
                return Pending(self._sick[1])
        return Pending(self._threads.submit(self._embed, text))

    def _embed(self, text: str) -> ByteVector | str:
        reason = ""
        for client in self._clients:
            try:
                (vector,) = client.embed([text])
            except RequestError as error:
                reason = error.message
                continue
            embedded = from_bytes(to_bytes(vector))
            with self._lock:
                self._sick = None
                self._kept[text] = embedded
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return embedded
        with self._lock:
            self._sick = (self._clock() + _SICK_S, reason)
        return reason


class Pending:
    """A question that is being embedded."""

    def __init__(self, result: "Future[ByteVector | str] | ByteVector | str") -> None:
        self._result = result
        self._until = time.monotonic() + WITHIN_S

    def get(self) -> ByteVector | str:
        """The vector, or why there is none; waits no longer than `WITHIN_S` after `begin`."""
        if not isinstance(self._result, Future):
            return self._result
        try:
            return self._result.result(max(0.0, self._until - time.monotonic()))
        except NotInTime:
            return LATE
