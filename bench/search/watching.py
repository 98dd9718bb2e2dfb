"""Memory of a process and of all that it starts, looked at while they run."""

from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from types import TracebackType
from typing import Final, Self

import psutil

_EVERY_S: Final = 0.1
_REST: Final = 20
"""Times what a look takes: it holds up a process that has mapped gigabytes."""
MIB: Final = 2**20


class Watch:
    """The most memory that some processes and their children had at one moment.

    It counts each page once, whoever shares it, and the pages of mapped files that are in memory, too.
    """

    def __init__(self, *pids: int) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._ended = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self.peak = 0
        """Bytes."""
        self.held = 0
        """Bytes without the pages of files, which the system takes back when it needs them."""

    def _look(self) -> None:
        ended, took = False, 0.0
        while not ended:
            ended = self._ended.wait(max(_EVERY_S, _REST * took))
            began = perf_counter()
            sizes = [_size(process.pid) for root in self._roots for process in _tree(root)]
            self.peak = max(self.peak, sum(whole for whole, _ in sizes))
            self.held = max(self.held, sum(whole - mapped for whole, mapped in sizes))
            took = perf_counter() - began

    @property
    def mib(self) -> float:
        """The peak in MiB."""
        return self.peak / MIB

    @property
    def held_mib(self) -> float:
        """The peak without the pages of files, in MiB."""
        return self.held / MIB

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


def _size(pid: int) -> tuple[int, int]:
    """Proportional set size of a process in bytes, and how much of it is files'."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:  # it is gone, or this system does not know
        return 0, 0
    found = {name: 1024 * int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines[1:])}
    return found.get("Pss", 0), found.get("Pss_File", 0)
