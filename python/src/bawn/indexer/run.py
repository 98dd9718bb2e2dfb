"""A run over all registered repositories, under the writer's lock, into the index that searches read."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer.cutting import Cutter
from bawn.indexer.indexing import Progress, Report, drop_repository, index_repository
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry, Repository
from bawn.search.embedded import EmbeddedPublisher
from bawn.search.tools import CODE_INDEX


class Outcome(msgspec.Struct, frozen=True):
    """What became of one repository in a run."""

    name: str
    progress: Progress | None
    error: str | None
    """Why the repository could not be read; the index keeps what it had of it."""


def run_index(
    index_dir: Path,
    names: Sequence[str] = (),
    *,
    rebuild: bool = False,
    begin: Callable[[Repository], Report] = lambda _: lambda _: None,
) -> list[Outcome]:
    """Bring the index up to date with the repositories `names`, or with all that are registered.

    `rebuild` makes a new index beside the old one, which serves searches until the new one takes its place.
    `begin` is called for each repository, and what it returns after every file.

    Raises:
        SettingsError: nothing is registered, a name is unknown, another process writes, or the index is of
            another format.
    """
    with writer_lock(index_dir):
        repositories = Registry(index_dir).repositories()
        chosen = _choose(repositories, names, rebuild=rebuild)
        place, old, new = index_dir / CODE_INDEX, index_dir / f"{CODE_INDEX}.old", index_dir / f"{CODE_INDEX}.new"
        if old.exists() and not place.exists():
            old.rename(place)  # a rebuild died between its two renames
        for leftover in (old, new):
            shutil.rmtree(leftover, ignore_errors=True)
        outcomes = _run(index_dir, new if rebuild else place, repositories, chosen, begin)
        if rebuild:
            if place.exists():
                place.rename(old)
            new.rename(place)
            shutil.rmtree(old, ignore_errors=True)
        return outcomes


def _choose(repositories: Sequence[Repository], names: Sequence[str], *, rebuild: bool) -> list[Repository]:
    if not repositories:
        raise SettingsError("No repository is registered: add one with `bawn index add PATH`.")
    if names and rebuild:
        raise SettingsError("--rebuild makes the whole index anew: leave the names out.")
    known = {repository.name: repository for repository in repositories}
    for name in names:
        if name not in known:
            raise SettingsError(f"No repository `{name}` is registered. Registered: {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(names)] or list(repositories)


def _run(
    index_dir: Path,
    place: Path,
    repositories: Sequence[Repository],
    chosen: Sequence[Repository],
    begin: Callable[[Repository], Report],
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with EmbeddedPublisher(place) as publisher, Cutter() as cutter:
        registered = {repository.name for repository in repositories}
        for name in publisher.repos():
            if name not in registered:
                drop_repository(name, publisher)
        for repository in chosen:
            try:
                progress = index_repository(repository, publisher, cutter, index_dir, begin(repository))
            except SettingsError as error:
                outcomes.append(Outcome(repository.name, None, str(error)))
            else:
                outcomes.append(Outcome(repository.name, progress, None))
    return outcomes
