"""Blob hashes of files by what their folder entry says, so that an unchanged file is not read again.

A cache and nothing more: without it the next run reads every file, and finds the same.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Final

import msgspec

_RACY: Final = 2_000_000_000
"""Nanoseconds. A file changed so shortly before it was read may change again and keep its time stamp."""


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """What a folder says of a file, and what was found when it was read."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    blob: str
    skipped: str
    """Why it is not in the index; empty where it is."""


_decoder: Final = msgspec.msgpack.Decoder(tuple[int, dict[bytes, Fingerprint]])


def blob_hash(content: bytes) -> str:
    """The hash that git gives a file of this content."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


class Fingerprints:
    """The fingerprints of one repository, in a file."""

    def __init__(self, file: Path | None, version: int) -> None:
        """Read `file`; one that is missing, damaged or of another `version` counts as empty.

        None: nothing is known, nor kept.
        """
        self._file = file
        self._version = version
        self._old: dict[bytes, Fingerprint] = {}
        self._new: dict[bytes, Fingerprint] = {}
        if file is None:
            return
        try:
            written, entries = _decoder.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError):
            return
        if written == version:
            self._old = entries

    def lookup(self, path: bytes, status: os.stat_result) -> Fingerprint | None:
        """What was found at `path`, unless its folder entry has changed since."""
        known = self._old.get(path)
        if known is None or (known.size, known.modified_ns, known.changed_ns, known.inode) != (
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
        ):
            return None
        self._new[path] = known
        return known

    def remember(self, path: bytes, status: os.stat_result, blob: str, skipped: str = "") -> None:
        """Note what was found in a file that was read after `status` was taken."""
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY:
            self._new[path] = Fingerprint(
                status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, blob, skipped
            )

    def save(self) -> None:
        """Write what this run looked at, and forget the rest."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.msgpack.encode((self._version, self._new)))
        fresh.replace(self._file)
