"""The settings file of a service that another user runs."""

from pathlib import Path

from bawn.doctor.hops import Fault
from bawn.doctor.machine import Place


def readable(file: Path | None, unit: str) -> Path:
    """The file.

    Raises:
        Fault: it isn't there, or this user may not read it.
    """
    start = f"`sudo systemctl start {unit}`, and `journalctl -u {unit}`; or name the file with --settings."
    if file is None:
        raise Fault("settings_missing", f"Nothing says where the settings of {unit} are.", start)
    try:
        with file.open("rb"):
            return file
    except PermissionError as error:
        raise Fault(
            "needs_root", f"{file} can be read by its service and by root only.", "`sudo bawn doctor`."
        ) from error
    except OSError as error:
        raise Fault("settings_missing", f"{file} isn't there: {unit} has not been started.", start) from error


def gone_with_the_service(place: Place) -> bool:
    """Whether the settings are made at the service's start and it isn't running: then its unit knows what is wrong."""
    if place.settings is None or place.unit is None or place.unit.runs:
        return False
    try:
        return not place.settings.exists()
    except PermissionError:
        return False
