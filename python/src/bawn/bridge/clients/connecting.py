"""`bawn connect` and its undo: a client's file, its backup, and the receipt that ties them together."""

import stat
from pathlib import Path
from typing import Literal

import msgspec

from bawn.bridge.clients.client import BrokenFile, Client
from bawn.bridge.clients.connection import Connection
from bawn.bridge.clients.receipts import Receipt, Receipts, back_up, digest, write
from bawn.contracts.errors import SettingsError


class Outcome(msgspec.Struct, frozen=True):
    """What was done to `path`."""

    path: Path
    done: Literal["created", "merged", "unchanged", "restored", "removed", "taken_out", "nothing"]
    """`taken_out`: only our entries went, since the file was edited after we had written it."""
    backup: Path | None = None
    remarks: tuple[str, ...] = ()


def connect(client: Client, path: Path, connection: Connection, receipts: Receipts) -> Outcome:
    """Put our entries into `path`; twice is the same as once.

    Raises:
        SettingsError: the file can't be read, written, or understood; it is left as it was.
    """
    target = path.resolve()  # a link into somebody's dotfiles stays one
    text, mode = _read(target)
    try:
        new = client.merged(text, connection)
        ours_before = text is not None and client.holds_ours(text)
        remarks = tuple(client.remarks(text, connection))
    except BrokenFile as error:
        raise _broken(path, error) from error
    if new == text:
        return Outcome(path, "unchanged", remarks=remarks)
    older = receipts.find(target) if ours_before else None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if older is not None and text is not None:
            kept = older.backup and Path(older.backup)
            receipt = Receipt(str(target), older.backup, digest(new), older.exact and older.written == digest(text))
        else:
            kept = None if text is None else back_up(target, text, mode)
            receipt = Receipt(str(target), kept and str(kept), digest(new), exact=not ours_before)
        # The receipt first: should the file not follow, its digest matches nothing, and nothing is put back.
        receipts.keep(receipt)
        write(target, new, mode)
    except OSError as error:
        raise SettingsError(f"{path}: can't be written: {error.strerror}.") from error
    return Outcome(path, "created" if text is None else "merged", kept or None, remarks)


def undo(client: Client, path: Path, receipts: Receipts) -> Outcome:
    """Put back what was at `path`; where the user has edited it since, take only our entries out.

    Raises:
        SettingsError: the file can't be read, written, or understood; it is left as it was.
    """
    target = path.resolve()
    text, mode = _read(target)
    receipt = receipts.find(target)
    if text is None:
        receipts.forget(target)
        return Outcome(path, "nothing")
    try:
        if not client.holds_ours(text):
            return Outcome(path, "nothing")
        backup = Path(receipt.backup) if receipt and receipt.backup else None
        original = _read(backup)[0] if backup else None
        if receipt and receipt.exact and receipt.written == digest(text) and (original is None) == (backup is None):
            return _put_back(path, target, original, backup, mode, receipts)
        rest = client.without(text, original)
    except BrokenFile as error:
        raise _broken(path, error) from error
    _write(path, target, rest, mode)
    receipts.forget(target)
    return Outcome(path, "taken_out", backup)


def _put_back(
    path: Path, target: Path, original: str | None, backup: Path | None, mode: int, receipts: Receipts
) -> Outcome:
    if original is None or backup is None:
        target.unlink()
        receipts.forget(target)
        return Outcome(path, "removed")
    _write(path, target, original, mode)
    receipts.forget(target)
    backup.unlink(missing_ok=True)  # its state is in the file again
    return Outcome(path, "restored")


def _read(path: Path) -> tuple[str | None, int]:
    try:
        if not path.exists():
            return None, 0o600
        # Bytes, since text mode would turn CRLF into LF.
        return path.read_bytes().decode(), stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text; left as it is.") from error


def _write(path: Path, target: Path, text: str, mode: int) -> None:
    try:
        write(target, text, mode)
    except OSError as error:
        raise SettingsError(f"{path}: can't be written: {error.strerror}.") from error


def _broken(path: Path, error: BrokenFile) -> SettingsError:
    return SettingsError(f"{path}: {error}. Nothing was changed: mend the file, or see `--print` for what to add.")
