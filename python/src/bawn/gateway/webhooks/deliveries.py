"""Which deliveries were taken, so that none is taken twice, after a restart either.

Of most forges only the body is signed, so that a captured delivery could come back under a fresh id: body and id are
both remembered, as hashes.
"""

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from bawn.gateway.webhooks.forges import Forge
from bawn.service.logs import event

_log = logging.getLogger("bawn.gateway.webhooks")

MOST: Final = 2048
"""Deliveries that are remembered. One older than these could be replayed, for one needless look of the indexer."""

_DIGEST_BYTES: Final = 16


class Deliveries:
    """The deliveries of a file, oldest first. Not for several threads at once."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._path = path
        self._most = most
        self._taken: dict[str, str] = {}
        """Hash of the id → hash of the body."""
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str]])
            self._taken = dict(stored[-most:])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            # The worst that forgetting does is one needless look of the indexer.
            event(_log, "deliveries_unreadable", level=logging.ERROR)

    def __contains__(self, delivery: tuple[Forge, str, bytes]) -> bool:
        """Whether forge and id, or the body, were there before."""
        forge, told, body = delivery
        return _id_hash(forge, told) in self._taken or _hash(body) in self._taken.values()

    def add(self, forge: Forge, told: str, body: bytes) -> None:
        """Remember a delivery, on disk before this returns.

        Raises:
            OSError: the file can't be written.
        """
        self._taken[_id_hash(forge, told)] = _hash(body)
        for oldest in list(self._taken)[: -self._most]:
            del self._taken[oldest]
        write_whole(self._path, msgspec.json.encode(list(self._taken.items())))


def _id_hash(forge: Forge, told: str) -> str:
    return _hash(f"{forge} {told}".encode("utf-8", "surrogatepass"))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).digest()[:_DIGEST_BYTES].hex()


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` at once, durably; its folder is made where it isn't there.

    Raises:
        OSError: the folder can't be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
