"""What `bawn connect` remembers of each file that it wrote, so that `--undo` can put things back exactly."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec


class Receipt(msgspec.Struct, frozen=True):
    """One written file."""

    path: str
    backup: str | None
    """File with what was there before; None where there was no file."""
    written: str
    """SHA-256 of what was written."""
    exact: bool = True
    """Whether the backup is all that the user had: they have not edited the file between two runs of ours."""


def digest(text: str) -> str:
    """SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


class Receipts:
    """A folder of receipts, one a written file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, path: Path) -> Path:
        return self._folder / f"{digest(str(path))[:24]}.json"

    def find(self, path: Path) -> Receipt | None:
        """The receipt of `path`; None where there is none that can be read."""
        try:
            return msgspec.json.decode(self._file(path).read_bytes(), type=Receipt)
        except (OSError, msgspec.DecodeError):
            return None

    def keep(self, receipt: Receipt) -> None:
        """Write a receipt, in place of an older one of the same file."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write(self._file(Path(receipt.path)), msgspec.json.encode(receipt).decode(), 0o600)

    def forget(self, path: Path) -> None:
        """Remove the receipt of `path`."""
        self._file(path).unlink(missing_ok=True)


def write(path: Path, text: str, mode: int) -> None:
    """Replace `path` by `text` at once: a reader sees the old file or the new one, whole."""
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(part).unlink()
        raise


def back_up(path: Path, text: str, mode: int) -> Path:
    """Keep `text` beside `path` as NAME.before-bawn, or .1, .2 … where older states are kept; gives the file."""
    number = 0
    while True:
        backup = path.with_name(f"{path.name}.before-bawn{f'.{number}' if number else ''}")
        if not backup.exists():
            write(backup, text, mode)
            return backup
        if backup.read_bytes() == text.encode():
            return backup
        number += 1
