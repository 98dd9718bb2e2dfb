"""The `packages` folder of an index directory: what lock files name, and of each library its archive until it is read,
then its documentation."""

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer.libraries.documentation import RULES
from bawn.indexer.libraries.library import Library
from bawn.indexer.libraries.projects import Project, merged
from bawn.indexer.registry import Repository

AGAIN_S: Final = 86_400.0
"""Seconds after which a library is asked for again that its registry has not, or that was not right."""

_ARCHIVE: Final = ".archive"


class Missing(msgspec.Struct, frozen=True):
    """A library whose documentation is not here."""

    reason: str
    tried: float = 0.0
    """When its registry answered so, in seconds since 1970; 0 where it is to be asked again at once."""


class _State(msgspec.Struct):
    rules: int = RULES
    projects: dict[str, Project] = {}
    """By name of the repository."""
    brought: dict[str, list[str]] = {}
    """Titles of what is here, with the hashes that the archive had one of."""
    missing: dict[str, Missing] = {}


class Shelf:
    """What is kept of libraries; the caller holds the index's lock while it changes it."""

    def __init__(self, index_dir: Path) -> None:
        self._folder = index_dir / "packages"
        self._file = self._folder / "libraries.json"
        try:
            self._state = msgspec.json.decode(self._file.read_bytes(), type=_State)
        except FileNotFoundError:
            self._state = _State()
        except OSError as error:
            raise SettingsError(f"{self._file}: can't be read: {error.strerror}.") from error
        except msgspec.DecodeError:
            self._state = _State()  # the next fetch writes it anew
        if self._state.rules != RULES:
            self._state.brought.clear()
            self._state.rules = RULES

    def project(self, name: str) -> Project | None:
        """What the lock files of the repository of this name said when it was fetched last."""
        return self._state.projects.get(name)

    def wanted(self, repositories: Iterable[Repository]) -> dict[str, Library]:
        """What the lock files of those that are registered with `libraries` name, by title."""
        found: dict[str, Library] = {}
        for repository in repositories:
            project = self._state.projects.get(repository.name)
            for library in project.libraries if project is not None and repository.libraries else ():
                found[library.title] = merged(library, found.get(library.title))
        return dict(sorted(found.items()))

    def is_here(self, library: Library) -> bool:
        """Whether its archive or documentation is here, and is what the lock file means."""
        had = self._state.brought.get(library.title)
        if had is None or not (self.archive(library).exists() or self.folder(library).exists()):
            return False
        return not library.hashes or bool(set(library.hashes) & set(had))

    def why_missing(self, library: Library) -> Missing | None:
        """Why it is not here, if that was found out."""
        return None if self.is_here(library) else self._state.missing.get(library.title)

    def archive(self, library: Library) -> Path:
        """Where its archive is until it is read."""
        return self._folder / f"{library.slug}{_ARCHIVE}"

    def folder(self, library: Library) -> Path:
        """Where its documentation is."""
        return self._folder / library.slug

    def put_project(self, project: Project) -> None:
        """Note what the lock files of a repository say now."""
        self._state.projects[project.repo] = project

    def put_archive(self, library: Library, fresh: Path) -> None:
        """Take the file `fresh`, of this folder, as the library's archive."""
        fresh.replace(self.archive(library))
        self._state.brought[library.title] = library.hashes
        self._state.missing.pop(library.title, None)

    def put_missing(self, library: Library, reason: str, *, is_final: bool) -> None:
        """Note why it is not here; `is_final` where asking again soon would bring the same."""
        self._state.missing[library.title] = Missing(reason, time.time() if is_final else 0.0)

    def put_documentation(self, library: Library, files: Sequence[tuple[str, bytes]]) -> None:
        """Write the documentation of a library, in place of what there was of it, and forget its archive.

        Raises:
            OSError: it can't be written.
        """
        folder, fresh = self.folder(library), self.fresh(library)
        for path, content in files:
            place = fresh / path
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as file:
                    file.write(content)
            except (FileExistsError, NotADirectoryError):
                continue  # one name for a file and a folder, which no disk can have
        fresh.mkdir(parents=True, exist_ok=True)
        _delete(folder)
        fresh.rename(folder)
        self.archive(library).unlink(missing_ok=True)

    def reject(self, library: Library, reason: str) -> None:
        """Forget an archive that can't be read."""
        self.archive(library).unlink(missing_ok=True)
        self._state.brought.pop(library.title, None)
        self.put_missing(library, reason, is_final=True)

    def fresh(self, library: Library) -> Path:
        """A place in the folder for what is about to be made; nothing is there."""
        place = self._folder / f"{library.slug}.new"
        _delete(place)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def tidy(self, repositories: Sequence[Repository]) -> None:
        """Delete what no lock file of the registered repositories names any more."""
        names = {one.name for one in repositories if one.libraries}
        state = self._state
        state.projects = {name: project for name, project in state.projects.items() if name in names}
        wanted = self.wanted(repositories)
        state.brought = {title: had for title, had in state.brought.items() if title in wanted}
        state.missing = {title: missing for title, missing in state.missing.items() if title in wanted}
        kept = {place for one in wanted.values() for place in (self.archive(one), self.folder(one))} | {self._file}
        if self._folder.exists():
            for place in self._folder.iterdir():
                if place not in kept:
                    _delete(place)

    def save(self) -> None:
        """Write down what was noted."""
        if not self._folder.exists() and self._state == _State():
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file.with_suffix(".tmp")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(self._state))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)


def _delete(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
