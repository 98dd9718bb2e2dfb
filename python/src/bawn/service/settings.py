"""Settings files: one TOML or JSON file a service, read into a frozen struct that refuses what it doesn't know."""

import os
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

from bawn.contracts.errors import SettingsError


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all settings structs."""


S = TypeVar("S", bound=Settings)


def read_settings(path: Path, kind: type[S]) -> S:
    """Read `path` (`.toml` or `.json`) into `kind`.

    Raises:
        SettingsError: the file can't be read, is not of its format, has an unknown key, or a value of the
            wrong type; the message names file, key and what was expected.
    """
    return to_settings(read_data(path), kind, origin=str(path))


def read_data(path: Path) -> object:
    """The plain data in `path`, `.toml` or `.json`.

    Raises:
        SettingsError: the file can't be read or is not of its format.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}.") from error
    try:
        if path.suffix == ".toml":
            return tomllib.loads(raw.decode())
        if path.suffix == ".json":
            return msgspec.json.decode(raw)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not valid {path.suffix[1:].upper()}: {error}.") from error
    raise SettingsError(f"{path}: settings are a .toml or a .json file.")


def to_settings(data: object, kind: type[S], *, origin: str) -> S:
    """Convert plain data into `kind`; `origin` begins the error message.

    Raises:
        SettingsError: names the key (`upstreams[0].url`), what is wrong and, for an unknown key, the known ones.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        message, _, key = text.partition(" - at `$")
        key = key.rstrip("`").lstrip(".") or "top level"
        raise SettingsError(f"{origin}: {key}: {message.replace('Object contains unknown', 'unknown')}.") from error


def read_secret(path: Path) -> str:
    """A secret from its file (a systemd credential, say), without the line break at its end.

    Raises:
        SettingsError: the file can't be read or is empty; the message never holds what is in it.
    """
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{path}: the secret can't be read: {error.strerror}.") from error
    if not secret:
        raise SettingsError(f"{path}: the secret is empty.")
    return secret


def credential_path(name: str, beside: Path) -> Path:
    """Where a secret's file is. An absolute path is itself; a name is that of a credential of the systemd unit, or of a
    file in `beside` where there are none. So units that have credentials of their own can share a settings file.
    """
    return Path(os.environ.get("CREDENTIALS_DIRECTORY") or beside, name)


def state_dir() -> Path:
    """Where state is kept: systemd's StateDirectory, else `$BAWN_STATE`, else the user's state folder."""
    # systemd lists several directories with colons; ours have one.
    named = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or os.environ.get("BAWN_STATE", "")
    return Path(named) if named else platformdirs.user_state_path("bawn")


def config_dir() -> Path:
    """Where a person's settings are kept: `$BAWN_CONFIG`, else the user's configuration folder."""
    named = os.environ.get("BAWN_CONFIG", "")
    return Path(named) if named else platformdirs.user_config_path("bawn")
