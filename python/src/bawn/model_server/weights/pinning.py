"""Size and hash of weights, by which every later copy of them is known."""

from pathlib import Path
from typing import Final

import httpx
import msgspec

from bawn.model_server.weights.downloading import download
from bawn.model_server.weights.hashing import BLOCK, Digest, told
from bawn.model_server.weights.progress import Progress

_MIB: Final = 1 << 20


class Pin(msgspec.Struct, frozen=True):
    """What weights are known by."""

    size: int
    """Bytes."""
    sha256: str
    """In hexadecimal."""

    @property
    def size_mib(self) -> int:
        """Rounded up."""
        return -(-self.size // _MIB)


def pin(client: httpx.Client, url: httpx.URL, progress: Progress) -> Pin:
    """Read all of `url` once and keep nothing.

    Raises:
        SettingsError: it can't be fetched, is no GGUF, or its server doesn't say how large it is.
    """
    digest = Digest(str(url))
    download(client, url, digest, progress)
    return Pin(digest.size, digest.sha256())


def pin_file(path: Path, progress: Progress) -> Pin:
    """The same of a file that is here.

    Raises:
        SettingsError: it can't be read or is no GGUF.
    """
    digest = Digest(str(path))
    with told(path), path.open("rb") as file:
        progress.stage("reading", 0, path.stat().st_size)
        while data := file.read(BLOCK):
            digest.write(data)
            progress.at(digest.size)
    return Pin(digest.size, digest.sha256())
