"""What `.bawnignore` files leave out of the index: they have the form of `.gitignore`, and are in any folder."""

from collections.abc import Iterable
from typing import Final

from bawn.indexer.folder_rules import FolderRules, ReadFile, outwards
from bawn.indexer.patterns import Pattern, read_pattern

NAME: Final = ".bawnignore"

Chain = tuple[tuple[int, list[Pattern]], ...]
"""Patterns of files from the root down, each with the length of its folder's prefix in a path."""


def read_ignore_file(lines: Iterable[str]) -> list[Pattern]:
    """The patterns of an ignore file, the last first, since the last that matches decides."""
    return [pattern for line in lines if (pattern := read_pattern(line))][::-1]


def is_ignored(path: bytes, chain: Chain) -> bool:
    """Whether the rules leave out `path`, which ends with `/` where it is a folder; the deepest that knows decides."""
    text = path.decode("latin-1")
    is_folder = text.endswith("/")
    for prefix, patterns in reversed(chain):
        names = text[prefix:].removesuffix("/").split("/")
        for pattern in patterns:
            if pattern.matches(names, is_folder=is_folder):
                return not pattern.negative
    return False


class Ignoring:
    """The `.bawnignore` files of a repository."""

    def __init__(self, read: ReadFile) -> None:
        self._rules = FolderRules(NAME, read, read_ignore_file)
        self._folders: dict[bytes, bytes | None] = {b"": None}

    def left_out(self, path: bytes) -> bytes | None:
        """The outermost ignored folder that the file is in, with `/` at its end, or its own path; None: it is not."""
        folder = path.rpartition(b"/")[0]
        if (within := self.folder_left_out(folder)) is not None:
            return within
        return path if is_ignored(path, self._rules.above(folder)) else None

    def folder_left_out(self, folder: bytes) -> bytes | None:
        """The outermost ignored folder that `folder` is or is in, with `/` at its end."""
        within: bytes | None = None
        for one in reversed(list(outwards(folder, self._folders))):
            if one in self._folders:
                within = self._folders[one]
                continue
            if within is None and is_ignored(one + b"/", self._rules.above(one.rpartition(b"/")[0])):
                within = one + b"/"
            self._folders[one] = within
        return within
