"""SHA-256 of files, and of what only passes by."""

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.downloading import Origin
from bawn.model_server.weights.progress import Progress

BLOCK: Final = 1 << 20
"""Bytes that are read at once."""
_MAGIC: Final = b"GGUF"


@contextmanager
def told(path: Path) -> Generator[None]:
    """What the system says against `path`, as a `SettingsError`."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}.") from error


def sha256_of(file: BinaryIO, progress: Progress) -> str:
    """SHA-256 in hexadecimal of an open file, from its beginning.

    Raises:
        OSError: it can't be read.
    """
    digest, done = hashlib.sha256(), 0
    file.seek(0)
    progress.stage("checking", 0, os.fstat(file.fileno()).st_size)
    while data := file.read(BLOCK):
        digest.update(data)
        done += len(data)
        progress.at(done)
    return digest.hexdigest()


class Digest:
    """A sink that keeps nothing but the hash."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self.size = 0
        self.origin: Origin | None = None
        self._sha256, self._head = hashlib.sha256(), b""

    def expect(self, origin: Origin) -> None:
        """Without a size, a connection that was cut can't be told from the end.

        Raises:
            SettingsError: the server names none.
        """
        if origin.total is None:
            raise SettingsError(
                f"{self._name}: the server doesn't say how large the file is, so nobody knows whether all of it came. "
                "Fetch it in another way, and name it with --file."
            )
        self.origin = origin

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            SettingsError: this is no GGUF, but a page about one, say.
        """
        if len(self._head) < len(_MAGIC):
            self._head = (self._head + data)[: len(_MAGIC)]
            if not _MAGIC.startswith(self._head):
                raise SettingsError(f"{self._name}: is not a GGUF file, but perhaps a page about one.")
        self._sha256.update(data)
        self.size += len(data)

    def sha256(self) -> str:
        """SHA-256 in hexadecimal.

        Raises:
            SettingsError: too little came to be a GGUF.
        """
        if self._head != _MAGIC:
            raise SettingsError(f"{self._name}: is not a GGUF file.")
        return self._sha256.hexdigest()
