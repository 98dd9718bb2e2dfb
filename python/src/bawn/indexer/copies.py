"""The copies of remote repositories: all of them brought up to date, and the branches that each has."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer import contents, git
from bawn.indexer.branches import is_name, matching, shown_as
from bawn.indexer.libraries import lock_files
from bawn.indexer.registry import Repository
from bawn.indexer.remote import fetch


class Fetched(msgspec.Struct, frozen=True):
    """What became of one copy."""

    names: list[str]
    """The repositories that it is of: projects of one repository share it."""
    branches: list[str]
    error: str | None
    """Why it could not be fetched; the copy is as it was."""


def fetch_all(repositories: Sequence[Repository]) -> Iterator[Fetched]:
    """Bring the copies of those that are remote up to date, each once."""
    by_folder: dict[str, list[Repository]] = {}
    for repository in repositories:
        if repository.remote is not None:
            by_folder.setdefault(repository.folder, []).append(repository)
    for folder, sharing in sorted(by_folder.items()):
        remote = next(one.remote for one in sharing if one.remote is not None)
        patterns = sorted({pattern for one in sharing for pattern in one.branches})
        names = [one.name for one in sharing]
        largest = lock_files.MAX_BYTES if any(one.libraries for one in sharing) else contents.MAX_BYTES
        try:
            fetched = fetch(remote, patterns, Path(folder), largest)
        except (SettingsError, OSError) as error:
            yield Fetched(names, [], str(error))
        else:
            yield Fetched(names, fetched, None)


def delete_unused(index_dir: Path, repositories: Sequence[Repository]) -> None:
    """Delete the copies that no repository is read from any more."""
    used = {Path(one.folder) for one in repositories if one.remote is not None}
    for copy in (index_dir / "copies").glob("*.git"):
        if copy not in used:
            shutil.rmtree(copy, ignore_errors=True)


def branches_of(repository: Repository) -> list[Repository]:
    """One repository for each branch: `app`, or `app/main` and `app/next` where several may be named; one whose work
    tree is indexed is its own.

    Raises:
        SettingsError: it was not fetched yet, or none of its branches is there.
    """
    if not repository.branches:
        return [repository]
    remote = repository.remote
    if remote is not None and not (repository.path / "HEAD").exists():
        raise SettingsError(f"{remote.url}: was not fetched yet; `bawn index fetch` does it.")
    several = len(repository.branches) > 1 or not is_name(repository.branches[0])
    named = [one for one in repository.branches if is_name(one)] if remote is None else []
    wanted = dict.fromkeys([*named, *matching(git.branches(repository.path), repository.branches)])
    if not wanted:
        asked = ", ".join(repository.branches)
        where = repository.folder if remote is None else remote.url
        raise SettingsError(f"{where}: has no branch {asked}." + (" `bawn index fetch` looks again." if remote else ""))
    return [
        msgspec.structs.replace(
            repository,
            name=f"{repository.name}/{shown}" if several else repository.name,
            branch=branch,
            branches=[],
        )
        for branch, shown in shown_as(wanted).items()
    ]
