"""What is in an archive, read by somebody who doesn't trust it: nothing is unpacked to disk here.

To be called where memory and time are bounded.
"""

import gzip
import hashlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final, cast

import msgspec

MOST_UNPACKED: Final = 1 << 30
"""Bytes that an archive may unpack to."""
MOST_MEMBERS: Final = 100_000
_BLOCK: Final = 1 << 16
_SHOWN: Final = 80
"""Characters of a path that an error names."""


class WrongArchive(Exception):
    """It is not taken; the text says why."""


class Bounds(msgspec.Struct, frozen=True):
    """What an archive may be."""

    members: int = MOST_MEMBERS
    unpacked: int = MOST_UNPACKED
    """Bytes."""
    is_strict: bool = False
    """Of a `.tar.gz`: anything but a regular file is refused, and not passed over, and it must be whole to its end."""


_PACKAGE: Final = Bounds()


class Member(msgspec.Struct, frozen=True):
    """A regular file of an archive."""

    path: str
    size: int
    """Bytes, as the archive says."""
    opened: Callable[[], IO[bytes]]
    """Its content; only before the next member is asked for."""

    def read(self, most: int) -> bytes:
        """At most so many of its first bytes; errors as for `Archive.members`."""
        with _named(), self.opened() as file:
            return file.read(most)

    def digest(self) -> bytes:
        """SHA-256 of its content; errors as for `Archive.members`."""
        digest = hashlib.sha256()
        with _named(), self.opened() as file:
            while data := file.read(_BLOCK):
                digest.update(data)
        return digest.digest()


class Archive:
    """A `.tar.gz` or `.zip` file, whatever its name. It can be gone through several times."""

    def __init__(self, path: Path, bounds: Bounds = _PACKAGE) -> None:
        """Look what it is.

        Raises:
            WrongArchive: it is neither.
        """
        self._path = path
        self._bounds = bounds
        with path.open("rb") as file:
            magic = file.read(4)
        self.is_zip = magic.startswith(b"PK\3\4")
        if not self.is_zip and not magic.startswith(b"\x1f\x8b"):
            raise WrongArchive("is no .tar.gz and no .zip file")

    def members(self) -> Iterator[Member]:
        """Its regular files; links, devices and folders are passed over, unless the bounds are strict.

        Raises:
            WrongArchive: it is damaged, too large, or has a path that leads out of it; with strict bounds also where
                something in it is no regular file.
        """
        with _named():
            for count, member in enumerate(self._zip() if self.is_zip else self._tar()):
                if count == self._bounds.members:
                    raise WrongArchive(f"has more than {self._bounds.members:,} files")
                _check_path(member.path, backslash=self._bounds.is_strict)
                yield member

    def _zip(self) -> Iterator[Member]:
        total = 0
        with zipfile.ZipFile(self._path) as archive:
            for info in archive.infolist():
                mode = info.external_attr >> 16
                if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
                    continue
                total += info.file_size
                if total > self._bounds.unpacked:
                    raise _too_large(self._bounds.unpacked)

                yield Member(info.filename, info.file_size, partial(archive.open, info))

    def _tar(self) -> Iterator[Member]:
        with gzip.open(self._path, "rb") as unpacked:
            source = cast("IO[bytes]", _Counted(cast("IO[bytes]", unpacked), self._bounds.unpacked))
            with tarfile.open(fileobj=source, mode="r|") as archive:
                while (info := archive.next()) is not None:
                    # The library would remember every member.
                    archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
                    if info.isreg() and not info.issparse() and (file := archive.extractfile(info)):
                        yield Member(info.name, info.size, partial(_as_it_is, file))
                    elif self._bounds.is_strict:
                        raise WrongArchive(f"has {info.name[:_SHOWN]!r}, which is no regular file")
            # What was cut off, or damaged, shows at the end of the compressed file.
            while self._bounds.is_strict and source.read(_BLOCK):
                pass


def _as_it_is(file: IO[bytes]) -> IO[bytes]:
    return file


class _Counted:
    """What a compressed file unpacks to, up to a bound."""

    def __init__(self, unpacked: IO[bytes], most: int) -> None:
        self._unpacked = unpacked
        self._most = self._left = most

    def read(self, size: int) -> bytes:
        """At most `size` of the next bytes."""
        data = self._unpacked.read(min(size, _BLOCK))
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._most)
        return data


def _too_large(most: int) -> WrongArchive:
    return WrongArchive(f"unpacks to more than {most >> 20} MiB")


@contextmanager
def _named() -> Generator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        # RuntimeError: it is encrypted, or packed by an unknown method.
        raise WrongArchive("is damaged") from error


def _check_path(path: str, *, backslash: bool) -> None:
    """`backslash`: whether that is a letter as any other, which it is where no program for Windows made the archive."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or ("\\" in path and not backslash) or "\0" in path:
        raise WrongArchive("has a path that leads out of it")
