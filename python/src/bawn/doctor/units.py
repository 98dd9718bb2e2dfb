"""What systemd says of a unit: whether it runs, and with which settings."""

import shlex
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from bawn.doctor.hops import Fault

_WITHIN_S: Final = 5


class Unit(msgspec.Struct, frozen=True):
    """A unit that is installed."""

    name: str
    active: str
    result: str
    command: list[str]

    @property
    def runs(self) -> bool:
        """Whether systemd has it running."""
        return self.active in ("active", "reloading")

    def flag(self, name: str) -> Path | None:
        """The value of a flag of its command line."""
        following = dict(zip(self.command, self.command[1:], strict=False))
        return Path(following[name]) if name in following else None


def unit(name: str, *, user: bool = False) -> Unit | None:
    """A unit of the system, or of this user; None where it, or systemd, isn't there."""
    command = ["systemctl", *(["--user"] if user else []), "show", name, "-p", "LoadState,ActiveState,Result,ExecStart"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parse(name, shown)


def parse(name: str, shown: str) -> Unit | None:
    """What `systemctl show` printed."""
    fields = {name: value for name, _, value in (line.partition("=") for line in shown.splitlines())}
    if fields.get("LoadState") != "loaded":
        return None
    _, _, rest = fields.get("ExecStart", "").partition("argv[]=")
    command = shlex.split(rest.partition(" ;")[0])
    return Unit(name, fields.get("ActiveState", ""), fields.get("Result", ""), command)


def check_active(installed: Unit | None) -> None:
    """Refuse a service that systemd has and that doesn't run.

    Raises:
        Fault: its state.
    """
    if installed is None or installed.runs:
        return
    name = installed.name.removesuffix(".service")
    state = installed.active if installed.active.isalpha() else "not active"
    why = f" ({installed.result})" if installed.result not in ("", "success") else ""
    raise Fault(
        "unit_not_active",
        f"The unit {name} is {state}{why}.",
        f"`sudo systemctl start {name}`; `journalctl -u {name}` says why it isn't running.",
    )
