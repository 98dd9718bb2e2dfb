"""Opening of files below a root without ever following a symbolic link, also where folders change meanwhile."""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a named pipe must not wait for a writer.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAFile(OSError):
    """The path is a link, a folder, a device or a pipe."""


class Beneath:
    """A root folder, opened once; every component of a path is opened from the one before it."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Listings come folder by folder: the last one is kept open.
        self._folder: tuple[bytes, int] | None = None

    def _open_folder(self, folder: bytes) -> int:
        if self._folder is not None:
            if self._folder[0] == folder:
                return self._folder[1]
            os.close(self._folder[1])
            self._folder = None
        current = os.dup(self._root)
        for name in folder.split(b"/") if folder else []:
            if name in (b"", b".", b".."):
                os.close(current)
                raise NotAFile("not a plain path")
            try:
                deeper = os.open(name, _FOLDER, dir_fd=current)
            finally:
                os.close(current)
            current = deeper
        self._folder = (folder, current)
        return current

    def stat(self, path: bytes) -> os.stat_result:
        """Status of the regular file at `path`, relative to the root.

        Raises:
            NotAFile: it is something else, or a link.
            OSError: it is not there, a folder on the way is a link, or it may not be read.
        """
        folder, _, name = path.rpartition(b"/")
        status = os.stat(name, dir_fd=self._open_folder(folder), follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise NotAFile("not a regular file")
        return status

    def read(self, path: bytes, limit: int) -> bytes:
        """At most `limit` bytes of the regular file at `path`; errors as for `stat`."""
        folder, _, name = path.rpartition(b"/")
        descriptor = os.open(name, _FILE, dir_fd=self._open_folder(folder))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotAFile("not a regular file")
            return file.read(limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._folder is not None:
            os.close(self._folder[1])
            self._folder = None
        os.close(self._root)
