"""The repositories that an index is made of, kept in one file in the index directory."""

import os
import re
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer import git

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One registered repository."""

    name: str
    folder: str
    """Absolute, without links."""
    branch: str | None = None
    """A branch whose commit is indexed; None for the work tree as it lies there."""

    @property
    def path(self) -> Path:
        """`folder`, as a path."""
        return Path(self.folder)


class Registry:
    """`repositories.json` of an index directory; the caller holds the index's lock while it changes it."""

    def __init__(self, index_dir: Path) -> None:
        self._file = index_dir / "repositories.json"

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

    def add(self, path: Path, name: str | None = None, branch: str | None = None) -> Repository:
        """Register the repository or folder at `path`; one of the same name and path is changed.

        Raises:
            SettingsError: no folder is there, the name can't be one or is taken, there is no such branch.
        """
        resolved = path.expanduser().resolve()
        if not resolved.is_dir():
            raise SettingsError(f"{path}: is not a folder.")
        name = name or re.sub(r"[^A-Za-z0-9._-]+", "-", resolved.name).strip("-._")
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"`{name}` can't name a repository: use letters, digits, `.`, `_`, `-`, and one `/` at most (--name)."
            )
        if branch is not None:
            if not git.is_repository(resolved):
                raise SettingsError(f"{path}: is no git repository, so it has no branch `{branch}`.")
            git.branch_commit(resolved, branch)
        known = {repository.name: repository for repository in self.repositories()}
        if name in known and known[name].path != resolved:
            raise SettingsError(f"`{name}` is already the name of {known[name].path}: choose another one with --name.")
        known[name] = Repository(name, str(resolved), branch)
        self._save(list(known.values()))
        return known[name]

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
