"""A run over all registered repositories, and the libraries that they name, into the indexes that searches read."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import INDEXES
from bawn.indexer.bundles.uploads import settle
from bawn.indexer.copies import branches_of
from bawn.indexer.cutting import Cutter
from bawn.indexer.destination import open_destination
from bawn.indexer.indexing import Progress, Report, drop_repository, fingerprints_file, index_repository
from bawn.indexer.libraries.reading import documented, read_archives
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry, Repository
from bawn.indexer.report import delete_other_reports, delete_report
from bawn.search.backend import IndexPublisher
from bawn.search.opening import IndexPlace


class Outcome(msgspec.Struct, frozen=True):
    """What became of one repository in a run."""

    name: str
    progress: Progress | None
    error: str | None
    """Why the repository could not be read; the index keeps what it had of it."""
    is_library: bool = False
    """Whether it is a library that a lock file names."""


def run_index(
    index_dir: Path,
    names: Sequence[str] = (),
    *,
    rebuild: bool = False,
    begin: Callable[[Repository], Report] = lambda _: lambda _: None,
) -> list[Outcome]:
    """Bring the index up to date with the repositories `names`, or with all that are registered, and with the libraries
    that their lock files name, as far as those were fetched.

    `rebuild` makes a new index beside the old one, which serves searches until the new one takes its place.
    `begin` is called for each repository, and what it returns after every file.

    Raises:
        SettingsError: nothing is registered, a name is unknown, another process writes, or the index is of
            another format.
        RequestError: the server that has the index can't be reached, or fails; the next run goes on from there.
        OSError: what the run keeps for itself can't be written.
    """
    with writer_lock(index_dir):
        settle(index_dir)
        repositories = Registry(index_dir).repositories()
        chosen = _choose(repositories, names, rebuild=rebuild)
        outcomes: list[Outcome] = []
        with Cutter() as cutter:
            wrong = read_archives(index_dir, repositories, cutter)
            outcomes += [Outcome(title, None, reason, is_library=True) for title, reason in wrong.items()]
            chosen += documented(index_dir, chosen)
            repositories += documented(index_dir, repositories)
            for index in INDEXES:
                own = [one for one in repositories if one.index == index]
                if own or IndexPlace(index_dir, index).exists():
                    with open_destination(index_dir, index, rebuild=rebuild) as publisher:
                        run = _Run(index_dir, publisher, cutter, begin)
                        outcomes += run.over(own, [one for one in chosen if one.index == index])
        delete_other_reports(index_dir, [one.name for one in repositories])
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


class _Run:
    """A run into one index."""

    def __init__(
        self,
        index_dir: Path,
        publisher: IndexPublisher,
        cutter: Cutter,
        begin: Callable[[Repository], Report],
    ) -> None:
        self._index_dir = index_dir
        self._publisher = publisher
        self._cutter = cutter
        self._begin = begin

    def over(self, registered: Sequence[Repository], chosen: Sequence[Repository]) -> list[Outcome]:
        """Take out what is not registered any more, and bring the chosen ones up to date."""
        outcomes: list[Outcome] = []
        branches: dict[str, list[Repository]] = {}
        for repository in registered:
            try:
                branches[repository.name] = branches_of(repository)
            except SettingsError as error:
                if repository in chosen:
                    outcomes.append(Outcome(repository.name, None, str(error)))
        known = {one.name for some in branches.values() for one in some}
        unread = tuple(one.name for one in registered if one.name not in branches)
        for name in self._publisher.repos():
            # Of what can't be read now, the index keeps what it has.
            if name not in known and not any(name == one or name.startswith(f"{one}/") for one in unread):
                drop_repository(name, self._publisher)
                delete_report(self._index_dir, name)
                fingerprints_file(self._index_dir, name).unlink(missing_ok=True)
        return outcomes + [self._index(one) for repository in chosen for one in branches.get(repository.name, ())]

    def _index(self, repository: Repository) -> Outcome:
        try:
            begun = self._begin(repository)
            progress = index_repository(repository, self._publisher, self._cutter, self._index_dir, begun)
        except SettingsError as error:
            return Outcome(repository.name, None, str(error), is_library=repository.is_library)
        return Outcome(repository.name, progress, None, is_library=repository.is_library)
