"""Which roles this machine has, and where the settings of each are."""

from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from bawn.bridge.settings import default_path
from bawn.contracts.errors import SettingsError
from bawn.doctor.units import Unit, unit
from bawn.service.settings import read_data, state_dir

Role = Literal["laptop", "gateway", "gpu"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_MARKS: Final[dict[Role, str]] = {"laptop": "gateway_url", "gateway": "upstreams", "gpu": "model"}
"""A key that only this role's settings have."""
_UNITS: Final[dict[Role, str]] = {
    "laptop": "bawn-bridge.service",
    "gateway": "bawn-gateway.service",
    "gpu": "bawn-model-server.service",
}
_FILES: Final[dict[Role, str]] = {"laptop": "bridge.json", "gateway": "gateway.json", "gpu": "model-server.json"}


class Place(msgspec.Struct, frozen=True):
    """Where one role of this machine is described."""

    role: Role
    settings: Path | None
    """None for a bridge without a settings file."""
    unit: Unit | None = None
    key_file: Path | None = None
    """From the unit's command line."""


def find(up: Path | None = None, run: Path = Path("/run")) -> list[Place]:
    """The roles of this machine: what systemd runs, else a bridge's settings, else one machine's `make up`.

    Args:
        up: where `bawn up` keeps its files, when it was given `--dir`.
        run: where services put settings that are made at their start.
    """
    if up is not None:
        return _up(up)
    places = [place for role in ROLES if (place := _service(role, run)) is not None]
    if not any(place.role == "laptop" for place in places) and default_path().is_file():
        places.insert(0, Place("laptop", default_path()))
    return places or _up(state_dir() / "up") or [Place("laptop", None)]


def named(files: list[Path], role: Role | None) -> list[Place]:
    """The roles that settings files are of, told by their keys unless `role` says it.

    Raises:
        SettingsError: a file can't be read, or is of no service of ours.
    """
    return [Place(role or _role_of(file), file) for file in files]


def _role_of(file: Path) -> Role:
    data = read_data(file)
    keys = data if isinstance(data, dict) else {}
    for role, mark in _MARKS.items():
        if mark in keys:
            return role
    raise SettingsError(f"{file}: is no settings file of bridge, gateway or model server; --role says which it is.")


def _service(role: Role, run: Path) -> Place | None:
    installed = unit(_UNITS[role], user=role == "laptop")
    if installed is not None:
        return Place(role, installed.flag("--settings"), installed, installed.flag("--key-file"))
    made = run / _UNITS[role].removesuffix(".service") / _FILES[role]
    try:
        return Place(role, made) if role != "laptop" and made.is_file() else None
    except PermissionError:
        return Place(role, made)


def _up(folder: Path) -> list[Place]:
    return [Place(role, file) for role in ROLES if (file := folder / _FILES[role]).is_file()]
