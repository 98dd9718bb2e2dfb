"""The lock files of a registered repository, and the libraries that they name."""

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer import git
from bawn.indexer.beneath import Beneath
from bawn.indexer.copies import branches_of
from bawn.indexer.folder_rules import ReadFile
from bawn.indexer.ignoring import Ignoring
from bawn.indexer.libraries.library import Library, WrongLock
from bawn.indexer.libraries.lock_files import MAX_BYTES, ReadText, is_lock_file, read_lock
from bawn.indexer.registry import Repository
from bawn.indexer.selection import Selection
from bawn.indexer.sources import shown, tracked_files
from bawn.indexer.walk import folder_files

MOST_LIBRARIES: Final = 2_000
"""Of one repository."""
MOST_LOCK_FILES: Final = 200
_RULES: Final = 1
"""Version of how lock files are read."""


class Project(msgspec.Struct, frozen=True):
    """What the lock files of one repository say, those of all its branches together."""

    repo: str
    """Its registered name."""
    lock_files: list[str]
    """Those that were read."""
    libraries: list[Library]
    unread: dict[str, str] = {}
    """Lock files that could not be read, and why."""
    left_out: int = 0
    """Libraries beyond the most that are taken."""
    of: str = ""
    """Commits and choices that it is of; empty where files may change without a commit."""


def read_project(repository: Repository, known: Project | None = None) -> Project:
    """What the lock files of a repository that is registered with `libraries` name; `known`, if that is still so.

    Raises:
        SettingsError: the repository can't be read.
    """
    lock_files: list[str] = []
    unread: dict[str, str] = {}
    found: dict[str, Library] = {}
    if not repository.path.is_dir() and repository.remote is None:
        raise SettingsError(f"{repository.path}: the folder of `{repository.name}` is gone. What it named stays.")
    branches = branches_of(repository)
    of = _of(repository, branches)
    if known is not None and of and known.of == of and not known.unread:
        return known
    for branch in branches:
        with _files(branch) as (paths, read):
            for path in _chosen(repository, paths):
                place = path if branch.name == repository.name else f"{branch.branch}:{path}"
                try:
                    libraries = read_lock(path, read, every=repository.libraries == "all")
                except WrongLock as error:
                    unread[place] = str(error)
                else:
                    lock_files.append(place)
                    for library in libraries:
                        found[library.title] = merged(library, found.get(library.title))
    taken = [library for _, library in sorted(found.items())[:MOST_LIBRARIES]]
    return Project(repository.name, lock_files, taken, unread, len(found) - len(taken), of)


def _of(repository: Repository, branches: Sequence[Repository]) -> str:
    if not repository.branches:
        return ""
    commits = [git.branch_commit(one.path, one.branch) for one in branches if one.branch is not None]
    choices = (_RULES, repository.libraries, repository.project, repository.exclude, [one.name for one in branches])
    return hashlib.sha256(repr((choices, commits)).encode()).hexdigest()


def merged(library: Library, other: Library | None) -> Library:
    """Two lock files' words for one library: either's hashes do, and where it may be private it is."""
    if other is None:
        return library
    hashes = sorted({*library.hashes, *other.hashes})
    return msgspec.structs.replace(library, hashes=hashes, origin=library.origin or other.origin)


def _chosen(repository: Repository, paths: Sequence[str]) -> list[str]:
    """The lock files that count. A project below the root may have those of a folder that it is in."""
    there = [path for path in paths if is_lock_file(path)]
    # Globs to include are for what is indexed, and name no lock file.
    selection = Selection(repository.project, [], repository.exclude)
    chosen = [path for path in there if selection.takes(path)]
    if repository.project is not None and not chosen:
        outwards = [str(folder) for folder in PurePosixPath(repository.project).parents]
        by_folder = [[path for path in there if str(PurePosixPath(path).parent) == folder] for folder in outwards]
        chosen = next(filter(None, by_folder), [])
    return sorted(chosen)[:MOST_LOCK_FILES]


_ReadBytes = Callable[[bytes], bytes | None]


@contextmanager
def _files(repository: Repository) -> Generator[tuple[list[str], ReadText]]:
    """The paths of a branch or work tree, less what a `.bawnignore` leaves out, and their reader."""
    with _commit(repository) if repository.branch is not None else _folder(repository) as (paths, read):
        ignoring = Ignoring(_rules(read))
        names = {shown(path): path for path in paths if not ignoring.left_out(path)}

        def text(name: str) -> str | None:
            content = read(names[name]) if name in names else None
            return None if content is None else content.decode("utf-8-sig")

        yield list(names), text


@contextmanager
def _commit(repository: Repository) -> Generator[tuple[list[bytes], _ReadBytes]]:
    commit = git.branch_commit(repository.path, repository.branch or "")
    files = {file.path: file for file in git.tree_files(repository.path, commit)}
    blobs = git.Blobs(repository.path)

    def read(path: bytes) -> bytes | None:
        file = files.get(path)
        if file is None:
            return None
        if file.size is None:
            raise WrongLock(f"is larger than {MAX_BYTES >> 20} MiB, or was not fetched yet; `bawn index fetch` does it")
        _check_size(file.size)
        return blobs.read(file.blob)

    try:
        yield list(files), read
    finally:
        blobs.close()


@contextmanager
def _folder(repository: Repository) -> Generator[tuple[list[bytes], _ReadBytes]]:
    try:
        opened = Beneath(repository.path)
    except OSError as error:
        raise SettingsError(f"{repository.path}: can't be read: {error.strerror}.") from error
    with opened as beneath:

        def read(path: bytes) -> bytes | None:
            try:
                _check_size(beneath.stat(path).st_size)
                return beneath.read(path, MAX_BYTES)
            except OSError:
                return None

        listed = tracked_files(repository.path)
        yield list(folder_files(repository.path, Ignoring(_rules(read)))) if listed is None else listed, read


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise WrongLock(f"is larger than {MAX_BYTES >> 20} MiB")


def _rules(read: _ReadBytes) -> ReadFile:
    def rules(path: bytes) -> bytes | None:
        try:
            return read(path)
        except (OSError, WrongLock):
            return None

    return rules
