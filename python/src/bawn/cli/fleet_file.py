"""The fleet that a command is about: a file, checked before anything is done with it."""

import sys
from pathlib import Path
from typing import Final

import click

from bawn.contracts.errors import SettingsError
from bawn.fleet.checks import problems
from bawn.fleet.problems import BrokenFleet
from bawn.fleet.reading import read_fleet
from bawn.fleet.schema import Fleet

INSTALLED: Final = Path("/etc/bawn/fleet.json")
"""The fleet on a NixOS host that administers it."""


def load(file: Path, *, caps: bool = True) -> Fleet:
    """Read and check; what is wrong is printed, and ends the command with status 1."""
    try:
        fleet = read_fleet(file)
        wrong = problems(fleet, caps=caps)
        if wrong:
            raise BrokenFleet(str(file), wrong)
    except BrokenFleet as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    return fleet


def named_or_installed(file: Path | None) -> Path:
    """`file`, or the fleet of this host.

    Raises:
        SettingsError: there is neither.
    """
    if file is None and not INSTALLED.exists():
        raise SettingsError(f"FILE: name the fleet's file; there is no {INSTALLED} here.")
    return file or INSTALLED
