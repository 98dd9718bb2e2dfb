"""The file of API keys, which `bawn keys` writes and a running gateway reads."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.gateway.auth.keys import NewKey, StoredKey, new_key


class _File(msgspec.Struct, frozen=True):
    keys: list[StoredKey] = []


class KeyStore:
    """One JSON file, replaced as a whole: a reader sees the old keys or the new ones, never half of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, StoredKey]:
        """All keys by id; none when the file does not exist.

        Raises:
            SettingsError: the file can't be read or is not a keys file.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError(f"{self.path}: the keys can't be read: {error.strerror}.") from error
        try:
            return {key.id: key for key in msgspec.json.decode(raw, type=_File).keys}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.path}: is not a keys file: restore it, or remove it and add keys.") from error

    def add(self, name: str) -> NewKey:
        """Make and store a key; its secret is in the answer and nowhere else.

        Raises:
            SettingsError: the file can't be read or written.
        """
        key = new_key(name, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._locked():
            self._write({**self.read(), key.stored.id: key.stored})
        return key

    def revoke(self, key_id: str) -> StoredKey:
        """Remove a key.

        Raises:
            SettingsError: no such key, or the file can't be read or written.
        """
        with self._locked():
            keys = self.read()
            removed = keys.pop(key_id, None)
            if removed is None:
                raise SettingsError(f"{self.path}: no key has the id {key_id!r}; `bawn keys list` shows them.")
            self._write(keys)
        return removed

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        # A lock file of its own, since the keys file itself is replaced under its readers.
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"{self.path}: the keys can't be written: {error.strerror}.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, keys: dict[str, StoredKey]) -> None:
        body = msgspec.json.format(msgspec.json.encode(_File(list(keys.values()))), indent=1)
        scratch = ""
        try:
            handle, scratch = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # mode 0600
            with os.fdopen(handle, "wb") as file:
                file.write(body + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(scratch).replace(self.path)
            scratch = ""
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SettingsError(f"{self.path}: the keys can't be written: {error.strerror}.") from error
        finally:
            if scratch:
                Path(scratch).unlink(missing_ok=True)
