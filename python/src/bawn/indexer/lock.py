"""One writer at a time: a lock on the index directory that dies with its holder."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bawn.contracts.errors import SettingsError


@contextmanager
def writer_lock(index_dir: Path) -> Generator[None]:
    """Hold the index directory for writing; it is made where it is missing.

    Raises:
        SettingsError: another process holds it, or the directory can't be written.
    """
    try:
        index_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(index_dir / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"{index_dir}: can't be written: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise SettingsError(
                f"{index_dir}: another `bawn index` is writing this index (process {holder or 'unknown'}). "
                "Wait until it is done, or end it."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
