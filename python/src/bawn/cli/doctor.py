"""`bawn doctor`."""

import asyncio
import sys
from pathlib import Path

import click

from bawn import __version__
from bawn.contracts.errors import SettingsError
from bawn.doctor.chain import chain_of
from bawn.doctor.machine import ROLES, Place, Role, find, named
from bawn.doctor.tailscaled import SOCKET
from bawn.doctor.telling import as_json, as_text
from bawn.doctor.walk import walk

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--settings", "files", type=_FILE, multiple=True, help="Look at this settings file; may be repeated.")
@click.option("--role", type=click.Choice(ROLES), help="Look at this role only.")
@click.option("--deep", is_flag=True, help="Ask for one token too; a rented pod may be started for it.")
@click.option("--json", "for_support", is_flag=True, help="For support: no keys, no prompts, no code.")
@click.option("--dir", "up", type=click.Path(path_type=Path, file_okay=False), help="The --dir of `bawn up`.")
@click.option("--tailscaled", "socket", type=click.Path(path_type=Path), default=SOCKET, help="Socket of tailscaled.")
def command(
    files: tuple[Path, ...], role: Role | None, deep: bool, for_support: bool, up: Path | None, socket: Path
) -> None:
    """Walk the chain from this machine, and say what is wrong and what to do.

    On a laptop from the assistants to the search index, on a gateway or GPU host what is there; which of them this
    machine is, is found by its services and settings. Nothing is changed. Exit status 0 when all is well, 1 when a hop
    fails, 2 when there is nothing to look at.
    """
    places = named(list(files), role) if files else find(up)
    if role is not None:
        places = [place for place in places if place.role == role]
    if not places:
        raise SettingsError(f"Nothing says that this machine is a {role}: name its settings with --settings FILE.")
    _check_once(places)
    hops = chain_of(places, socket=socket, project=Path.cwd(), deep=deep)
    report = asyncio.run(walk(hops, roles=[place.role for place in places], version=__version__))
    if for_support:
        click.echo(as_json(report))
    else:
        encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
        click.echo(as_text(report, unicode=encoding == "utf8"), nl=False)
    sys.exit(0 if report.ok else 1)


def _check_once(places: list[Place]) -> None:
    roles = [place.role for place in places]
    for role in roles:
        if roles.count(role) > 1:
            raise SettingsError(f"--settings: two of the files are of one role, {role}; name one.")
