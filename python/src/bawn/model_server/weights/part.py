"""A file that is on its way: `NAME.part` beside the place where it will be, until it is whole and its hash is right.

Beside it, `NAME.part.json` says what it is a part of. A part without that note goes on, too: its hash will tell.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.downloading import Origin
from bawn.model_server.weights.hashing import BLOCK, told
from bawn.model_server.weights.progress import Progress

_MIB: Final = 1 << 20


class _Note(msgspec.Struct, frozen=True):
    sha256: str
    """Of the whole file that is wanted."""
    url: str
    origin: Origin


class Part:
    """A sink on disk. Only `hold` makes it, since only its holder may write."""

    def __init__(self, target: Path, descriptor: int, sha256: str, source: str) -> None:
        self.target, self.path = target, _part_of(target)
        self._note = target.with_name(f"{target.name}.part.json")
        self._descriptor, self._wanted, self._source = descriptor, sha256, source
        self.size = 0
        self.origin: Origin | None = None
        self._sha256 = hashlib.sha256()

    def resume(self, progress: Progress) -> bool:
        """Read what an earlier run has left; True when all of the file is there.

        Raises:
            SettingsError: it can't be read.
        """
        note = self._read_note()
        if note is not None and note.sha256 != self._wanted:
            self.restart()
        left = os.fstat(self._descriptor).st_size
        if not left:
            return False
        progress.stage("checking the part that is here,", 0, left)
        with told(self.path):
            while data := os.pread(self._descriptor, BLOCK, self.size):
                self._sha256.update(data)
                self.size += len(data)
                progress.at(self.size)
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
        if note is not None and note.url == self._source:
            self.origin = note.origin
        return self._sha256.hexdigest() == self._wanted

    def expect(self, origin: Origin) -> None:
        """Look for room, and note what is coming.

        Raises:
            SettingsError: the file doesn't fit on the disk.
        """
        with told(self.target.parent):
            free = shutil.disk_usage(self.target.parent).free
        more = (origin.total or 0) - self.size
        if more > free:
            raise SettingsError(
                f"{self.target.parent}: {self.target.name} needs {-(-more // _MIB):,} MiB more, "
                f"and {free // _MIB:,} MiB are free. Make room, or name another folder."
            )
        self.origin = origin
        with told(self._note):
            self._note.write_bytes(msgspec.json.encode(_Note(self._wanted, self._source, origin)))

    def write(self, data: bytes) -> None:
        """Append; nothing waits in memory, so a process that is killed has kept all that came.

        Raises:
            SettingsError: the disk is full or fails.
        """
        with told(self.path):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self._sha256.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Forget what is there."""
        with told(self.path):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._note.unlink(missing_ok=True)
        self.size, self.origin, self._sha256 = 0, None, hashlib.sha256()

    def finish(self) -> None:
        """Give the file its name, when it is the right one; otherwise it is deleted.

        Raises:
            SettingsError: the hash is wrong, or the disk fails.
        """
        found = self._sha256.hexdigest()
        if found != self._wanted:
            self.restart()
            raise SettingsError(
                f"{self._source}: what came has the SHA-256 {found}, and not {self._wanted}: it is deleted. "
                "It is another file than the one that was pinned, or was damaged on its way."
            )
        with told(self.path):
            os.fsync(self._descriptor)
            # Power that is cut from here on leaves a whole part, or the target.
            self._note.unlink(missing_ok=True)
            self.path.rename(self.target)
            sync_folder(self.target.parent)

    def clear(self) -> None:
        """Leave nothing behind where nothing came; what a part holds is kept for the next run."""
        if not os.fstat(self._descriptor).st_size and _is_at(self.path, self._descriptor):
            self._note.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def _read_note(self) -> _Note | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Note)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None  # cut off by a power cut, or never written


@contextmanager
def hold(target: Path, sha256: str, source: str) -> Generator[Part]:
    """The part of `target`, for this process alone; folders are made where they are missing.

    Args:
        target: where the file will be.
        sha256: what the whole file must have, in hexadecimal.
        source: where it comes from, for error messages and to know it again.

    Raises:
        SettingsError: another process holds it, or it can't be written.
    """
    with told(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    path = _part_of(target)
    with told(path):
        descriptor = _locked(path)
    part = Part(target, descriptor, sha256, source)
    try:
        yield part
    finally:
        with told(path):
            part.clear()
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut.

    Raises:
        OSError: the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise SettingsError(
                f"{path}: another `bawn weights fetch` is writing it. Wait until it is done, or end it."
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        # Its holder finished between the two calls: what is open here is the target by now.
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")
