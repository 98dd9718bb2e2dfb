"""The repositories that the indexes are made of, kept in one file in the index directory."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import Index
from bawn.indexer import git
from bawn.indexer.branches import check_branches, is_name
from bawn.indexer.bundles.manifest import FILES
from bawn.indexer.remote import Remote, check
from bawn.indexer.selection import Selection

Libraries = Literal["direct", "all"]
"""Of the libraries that lock files name: those that the project needs itself, or those that they need in turn, too."""

UPLOADS: Final = "uploads"
"""Folder of an index directory."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One registered repository, or one branch of it."""

    name: str
    folder: str
    """Absolute, without links; of a remote repository, that of its copy."""
    branch: str | None = None
    """A branch whose commit is indexed; None for the work tree as it lies there."""
    branches: list[str] = []
    """Names and patterns of branches, each of which is a repository of its own in searches; `branch` is None then."""
    index: Index = "code"
    """The index that it goes into."""
    remote: Remote | None = None
    """Where it is, when it is elsewhere; it has `branches`."""
    project: str | None = None
    """A folder in it; only what is below is indexed."""
    include: list[str] = []
    """Globs; where there are any, only what one of them names is indexed."""
    exclude: list[str] = []
    """Globs of what is left out."""
    libraries: Libraries | None = None
    """Which of the libraries that its lock files name have their documentation in the index `libraries`."""
    is_upload: bool = False
    """Whether `folder` has the files of a bundle that was uploaded."""
    is_library: bool = False
    """The documentation of a library, as it lies in a folder; it is no part of a registration."""

    @property
    def path(self) -> Path:
        """`folder`, as a path."""
        return Path(self.folder)

    @property
    def selection(self) -> Selection:
        """Which of its files are indexed."""
        return Selection(self.project, self.include, self.exclude)


def _name_of(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")


def _checked(repository: Repository) -> Repository:
    if not _NAME.fullmatch(repository.name):
        raise SettingsError(
            f"`{repository.name}` can't name a repository: use letters, digits, `.`, `_`, `-`, and one `/` at most"
            " (--name)."
        )
    check_branches(repository.branches)
    _ = repository.selection
    return repository


class Registry:
    """`repositories.json` of an index directory; the caller holds the index's lock while it changes it."""

    def __init__(self, index_dir: Path) -> None:
        self._file = index_dir / "repositories.json"
        self._copies = index_dir / "copies"
        self._uploads = index_dir.resolve() / UPLOADS

    def repositories(self) -> list[Repository]:
        """All that are registered, by name.

        Raises:
            SettingsError: the file is damaged.
        """
        try:
            raw = self._file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SettingsError(f"{self._file}: can't be read: {error.strerror}.") from error
        try:
            found = msgspec.json.decode(raw, type=list[Repository])
        except msgspec.DecodeError as error:
            raise SettingsError(
                f"{self._file}: is damaged: {error}. Delete it and add the repositories anew."
            ) from error
        return sorted(found, key=lambda repository: repository.name)

    def add(self, path: Path, name: str | None = None, branches: Sequence[str] = (), **how: Any) -> Repository:
        """Register the repository or folder at `path`; one of the same name and path is changed.

        Args:
            path: of a folder; of an upload, the one that has its manifest.
            name: in searches; None: the folder's.
            branches: names and patterns; none: what lies in the folder.
            how: `index`, `project`, `include`, `exclude`, `libraries` of `Repository`.

        Raises:
            SettingsError: no folder is there, the name can't be one or is taken, there is no such branch.
        """
        return self._add(self.described(path, name, branches, **how), str(path))

    def described(self, path: Path, name: str | None, branches: Sequence[str], **how: Any) -> Repository:
        """What `add` would register; arguments and errors as there, but for names that are taken."""
        resolved = path.expanduser().resolve()
        if not resolved.is_dir():
            raise SettingsError(f"{path}: is not a folder.")
        if resolved.parent == self._uploads:
            # It has the one branch that was packed, whatever a fleet says of all repositories.
            return _checked(Repository(name or _name_of(resolved.name), str(resolved / FILES), is_upload=True, **how))
        if branches and not git.is_repository(resolved):
            raise SettingsError(f"{path}: is no git repository, so it has no branch `{branches[0]}`.")
        for branch in filter(is_name, branches):
            git.branch_commit(resolved, branch)
        return _checked(Repository(name or _name_of(resolved.name), str(resolved), branches=list(branches), **how))

    def upload_folder(self, name: str) -> tuple[Path, Repository | None]:
        """The folder of the bundle that is uploaded as `name`, and the registration of the one that it replaces.

        Raises:
            SettingsError: the name can't be one, or is that of something else.
        """
        folder = self._uploads / name.replace("/", "+")
        wanted = _checked(Repository(name, str(folder / FILES), is_upload=True))
        return folder, self._known(wanted, "this bundle").get(name)

    def add_remote(
        self, remote: Remote, name: str | None = None, branches: Sequence[str] = ("main",), **how: Any
    ) -> Repository:
        """Register a repository that is elsewhere; arguments as for `add`. Nothing is fetched yet.

        Raises:
            SettingsError: the remote can't be fetched from, the name can't be one or is taken.
        """
        check(remote)
        name = name or _name_of(remote.url.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git"))
        # Projects of one repository share a copy.
        copy = self._copies / f"{hashlib.sha256(remote.url.encode()).hexdigest()[:24]}.git"
        named = Repository(name, str(copy), branches=list(branches), remote=remote, **how)
        return self._add(_checked(named), remote.url)

    def _add(self, repository: Repository, place: str) -> Repository:
        known = self._known(repository, place)
        known[repository.name] = repository
        self._save(list(known.values()))
        return repository

    def _known(self, repository: Repository, place: str) -> dict[str, Repository]:
        """All that are registered, by name; raises SettingsError where another one has the name of `repository`."""
        known = {one.name: one for one in self.repositories()}
        if repository.name in known and known[repository.name].folder != repository.folder:
            taken = known[repository.name]
            where = taken.folder if taken.remote is None else taken.remote.url
            raise SettingsError(
                f"`{repository.name}` is already the name of {where}, not of {place}: choose another one with --name."
            )
        return known

    def remove(self, name: str) -> None:
        """Forget a repository; the next run takes its documents out.

        Raises:
            SettingsError: none has this name.
        """
        known = self.repositories()
        left = [repository for repository in known if repository.name != name]
        if len(left) == len(known):
            raise SettingsError(
                f"No repository `{name}` is registered. Registered: {', '.join(r.name for r in known) or 'none'}."
            )
        self._save(left)

    def _save(self, repositories: list[Repository]) -> None:
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(repositories), indent=2))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
