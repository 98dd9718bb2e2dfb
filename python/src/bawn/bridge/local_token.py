"""The token of this installation: what keeps other programs and other users of the laptop out of the bridge."""

import contextlib
import os
import secrets
from pathlib import Path

from bawn.contracts.errors import SettingsError
from bawn.service.settings import config_dir, read_secret


def token_path() -> Path:
    """Where the token is kept."""
    return config_dir() / "bridge.token"


def install_token(path: Path) -> str:
    """The token of `path`, made there (mode 0600) when there is none.

    Raises:
        SettingsError: the file can't be read or written, or is empty.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            # Written elsewhere and linked into place, so that nobody reads half a token.
            part = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    file.write(f"bawn_local_{secrets.token_urlsafe(32)}\n")
                os.link(part, path)
            finally:
                part.unlink(missing_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise SettingsError(f"{path}: the bridge's token can't be kept there: {error.strerror}.") from error
    return read_secret(path)
