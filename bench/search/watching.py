"""Memory of a process and of all that it starts, looked at while they run."""

from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

import psutil

_EVERY_S: Final = 0.1
MIB: Final = 2**20


class Watch:
    """The most memory that some processes and their children had at one moment, as proportional set size.

    That counts each page once, whoever shares it, and the pages of mapped files that are in memory, too.
    """

    def __init__(self, *pids: int) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._ended = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self.peak = 0
        """Bytes."""

    def _look(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(_EVERY_S)
            self.peak = max(self.peak, sum(_size(process) for root in self._roots for process in _tree(root)))

    @property
    def mib(self) -> float:
        """The peak in MiB."""
        return self.peak / MIB

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _size(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):  # it is gone, or this system does not know
        return 0
