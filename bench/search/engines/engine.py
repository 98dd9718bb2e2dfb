"""What a way to search is."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from bench.search.places import Place

WINDOW: Final = 40
"""Lines of the windows in which raw BM25 and Meilisearch untouched search; they don't overlap."""

Search = Callable[[str, int], list[Place]]
"""At most so many places that answer a question, best first."""


class NotMeasured(Exception):
    """An engine can't be asked; the text says why."""


class Copy(msgspec.Struct, frozen=True):
    """Files that are searched."""

    label: str
    """Letters, digits and `-`; no other copy of this run has it."""
    folder: Path
    """Where they lie."""
    files: Mapping[str, str]


class Engine(msgspec.Struct, frozen=True):
    """A way to search."""

    name: str
    opened: Callable[[Copy], AbstractContextManager[Search]]
    """Index a copy and search it; raises `NotMeasured`."""


def windows(files: Mapping[str, str]) -> list[tuple[Place, str]]:
    """Every file in windows of `WINDOW` lines."""
    found: list[tuple[Place, str]] = []
    for path, text in files.items():
        lines = text.split("\n")
        for start in range(0, len(lines), WINDOW):
            some = lines[start : start + WINDOW]
            found.append((Place(path, start + 1, start + len(some)), "\n".join(some)))
    return found
