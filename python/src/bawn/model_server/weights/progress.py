"""How far a long transfer is: a bar on a terminal, a line every few seconds anywhere else."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress

EVERY_S: Final = 5.0
"""Seconds between two lines."""
_MIB: Final = 1 << 20


class Progress(Protocol):
    """Is told how far a transfer is. All counts are bytes."""

    def stage(self, what: str, done: int, total: int | None) -> None:
        """Something new begins, such as `fetching`; `done` of `total` are there already."""

    def at(self, done: int) -> None:
        """So much is there now."""

    def note(self, text: str) -> None:
        """Something happened that whoever waits should know."""


class Lines:
    """Progress for journals and files."""

    def __init__(self, name: str, stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self._name, self._stream, self._now = name, stream, now
        self._total: int | None = None
        self._first, self._began, self._told = 0, 0.0, 0.0

    def stage(self, what: str, done: int, total: int | None) -> None:
        """One line; the rate is counted from here."""
        self._first, self._total = done, total
        self._began = self._told = self._now()
        size = "" if total is None else f" {_mib(total)} MiB"
        self._print(f"{what}{size}{f', of which {_mib(done)} are there' if done else ''}")

    def at(self, done: int) -> None:
        """A line when the last one is old."""
        now = self._now()
        if now - self._told < EVERY_S:
            return
        self._told = now
        rate = (done - self._first) / (now - self._began)
        text = f"{_mib(done)} MiB, {rate / _MIB:.1f} MiB/s"
        if self._total is not None:
            text = f"{_mib(done)} of {_mib(self._total)} MiB, {rate / _MIB:.1f} MiB/s"
            text += f", {(self._total - done) / rate:.0f} s left" if rate > 0 else ""
        self._print(text)

    def note(self, text: str) -> None:
        """One line."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._stream.write(f"{self._name}: {text}\n")
        self._stream.flush()


class Bar:
    """Progress for a terminal, drawn by `shown`."""

    def __init__(self, name: str, drawn: RichProgress) -> None:
        self._name, self._drawn = name, drawn
        self._task = drawn.add_task(name, total=None)

    def stage(self, what: str, done: int, total: int | None) -> None:
        """The bar begins anew."""
        self._drawn.reset(self._task, description=f"{self._name}: {what}", completed=done, total=total)

    def at(self, done: int) -> None:
        """Move the bar."""
        self._drawn.update(self._task, completed=done)

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._drawn.console.print(f"{self._name}: {text}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def shown(name: str, stream: TextIO) -> Generator[Progress]:
    """Progress of the file `name` on `stream`; a bar is gone at the end, lines stay."""
    console = Console(file=stream)
    if not console.is_terminal:
        yield Lines(name, stream)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=console, transient=True) as drawn:
        yield Bar(name, drawn)


def _mib(count: int) -> str:
    return f"{count / _MIB:,.0f}" if count >= 10 * _MIB else f"{count / _MIB:.1f}"
