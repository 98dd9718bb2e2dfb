"""From lock files to archives: what repositories name is asked of registries, as far as it isn't here."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer.libraries.downloading import NotThere, Unreachable
from bawn.indexer.libraries.library import Ecosystem, Library
from bawn.indexer.libraries.packages import Packages, open_packages
from bawn.indexer.libraries.projects import read_project
from bawn.indexer.libraries.registries import PackageRegistry, read_registries
from bawn.indexer.libraries.shelf import AGAIN_S, Shelf
from bawn.indexer.registry import Repository

PATIENCE: Final = 3
"""Tries in a row that a registry can't be asked, until no more is asked of it in this run."""
_SAVE_EVERY: Final = 20


class Brought(msgspec.Struct):
    """What came of a fetch."""

    fetched: int = 0
    unread: dict[str, str] = {}
    """Repositories whose lock files could not be read, and why; what they named before stays."""
    unreachable: dict[str, str] = {}
    """Registries that could not be asked, and why."""


Report = Callable[[Library, int, int], None]
"""Called before each library that is asked for, with its number and how many there are."""


def fetch_libraries(
    index_dir: Path,
    repositories: Sequence[Repository],
    names: Sequence[str] = (),
    report: Report = lambda _library, _at, _of: None,
    within_s: float = math.inf,
) -> Brought:
    """Read the lock files of `repositories`, or of those of `names`, and fetch the archives that are not here.

    After `within_s` seconds nothing more is asked for: the next fetch goes on. The caller holds the index's lock.
    Nothing of an archive is read here but for its hash.

    Raises:
        SettingsError: the registries that are named can't work.
        OSError: the disk is full, or can't be written.
    """
    registries = read_registries(index_dir)
    shelf = Shelf(index_dir)
    brought = Brought()
    for repository in repositories:
        if repository.libraries and (repository.name in names or not names):
            try:
                shelf.put_project(read_project(repository, shelf.project(repository.name)))
            except SettingsError as error:
                brought.unread[repository.name] = str(error)
    shelf.tidy(repositories)
    try:
        with _Run(shelf, registries, brought, time.monotonic() + within_s) as run:
            run.bring(list(_due(shelf, repositories)), report)
    finally:
        shelf.save()
    return brought


def _due(shelf: Shelf, repositories: Sequence[Repository]) -> Iterator[Library]:
    for library in shelf.wanted(repositories).values():
        missing = shelf.why_missing(library)
        if not shelf.is_here(library) and (missing is None or time.time() - missing.tried > AGAIN_S):
            yield library


class _Run(ExitStack):
    def __init__(
        self, shelf: Shelf, registries: dict[Ecosystem, PackageRegistry], brought: Brought, deadline: float
    ) -> None:
        super().__init__()
        self._shelf = shelf
        self._registries = registries
        self._brought = brought
        self._deadline = deadline
        self._opened: dict[Ecosystem, Packages] = {}
        self._failures: Counter[Ecosystem] = Counter()

    def bring(self, libraries: Sequence[Library], report: Report) -> None:
        for at, library in enumerate(libraries, 1):
            if why_not := self._registries[library.ecosystem].why_not(library):
                self._shelf.put_missing(library, why_not, is_final=False)
                continue
            if self._failures[library.ecosystem] < PATIENCE and time.monotonic() < self._deadline:
                report(library, at, len(libraries))
                self._bring(library)
            if at % _SAVE_EVERY == 0:
                self._shelf.save()

    def _bring(self, library: Library) -> None:
        fresh = self._shelf.fresh(library)
        try:
            self._packages(library.ecosystem).bring(library, fresh)
        except NotThere as error:
            self._failures[library.ecosystem] = 0
            self._shelf.put_missing(library, str(error), is_final=True)
        except Unreachable as error:
            self._failures[library.ecosystem] += 1
            self._brought.unreachable[library.ecosystem] = str(error)
            self._shelf.put_missing(library, str(error), is_final=False)
        else:
            self._failures[library.ecosystem] = 0
            self._shelf.put_archive(library, fresh)
            self._brought.fetched += 1
        finally:
            fresh.unlink(missing_ok=True)

    def _packages(self, ecosystem: Ecosystem) -> Packages:
        if ecosystem not in self._opened:
            opened = open_packages(self._registries[ecosystem], ecosystem)
            self._opened[ecosystem] = self.enter_context(opened)
        return self._opened[ecosystem]
