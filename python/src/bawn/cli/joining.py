"""`bawn fleet apply` and `bawn fleet join-key`: who is in the tailnet."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from bawn.cli.fleet_file import load, named_or_installed
from bawn.contracts.errors import SettingsError
from bawn.fleet.joining.headscale import Headscale
from bawn.fleet.joining.keys import JoinKey, command_of, make_key, write_key
from bawn.fleet.joining.plan import Plan, plan

_PATH: Final = click.Path(dir_okay=False, path_type=Path)
_EXPIRATION: Final = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_DAYS: Final = 7
NOT_APPLIED: Final = 3
"""Exit status of a plan that nobody agreed to."""


def _headscale_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--headscale", "program", default="headscale", show_default=True, help="Headscale's program."),
        click.option("--config", type=_PATH, help="Headscale's configuration, where it is not its default."),
        click.option("--remote", metavar="HOST", help="Run `headscale` on HOST, through ssh."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command(name="apply")
@click.argument("file", type=_PATH, required=False)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@_headscale_options
def apply_command(file: Path | None, yes: bool, program: str, config: Path | None, remote: str | None) -> None:
    """Bring Headscale's users and nodes in line with the fleet.

    Shows what it would do and asks. People who are missing are created; users and nodes that are not in the fleet are
    removed, whoever made them, and reach nothing a second later; unused join keys that nothing in the fleet has a use
    for are expired. The policy is not touched. FILE is by default /etc/bawn/fleet.json.

    Exit status 0 when all is in line, 1 when something is left that only you can mend, 3 when nobody agreed.
    """
    fleet = load(named_or_installed(file), caps=False)
    if fleet.tailnet.managed:
        raise SettingsError(
            "tailnet.managed: Tailscale runs this tailnet; its users and nodes are invited and removed in its console."
        )
    headscale = Headscale(program, config=config, remote=remote)
    found = plan(fleet, headscale.users(), headscale.nodes(), headscale.keys(), datetime.now(UTC))
    _show(found)
    if found.steps and not (yes or _agreed()):
        sys.exit(NOT_APPLIED)
    for step in found.steps:
        step.take(headscale)
        click.echo(f"done: {step}")
    for problem in found.problems:
        click.echo(problem, err=True)
    if found.problems:
        sys.exit(1)


@click.command(name="join-key")
@click.argument("words", nargs=-1, required=True, metavar="[FILE] NODE")
@click.option(
    "--expiration", default="1h", show_default=True, help="How long the key is good: 30m, 1h, 2d; at most 7d."
)
@click.option("--again", is_flag=True, help="Make one although NODE has joined: its machine was set up anew.")
@click.option("--out", type=_PATH, help="Write the key, and nothing else, into this file (mode 0600).")
@click.option("--json", "as_json", is_flag=True, help="For scripts: the key and what it is good for.")
@_headscale_options
def join_key_command(
    words: tuple[str, ...],
    expiration: str,
    again: bool,
    out: Path | None,
    as_json: bool,
    program: str,
    config: Path | None,
    remote: str | None,
) -> None:
    """Make a key with which one machine joins the tailnet as NODE, once.

    Prints the one command that uses it, for the laptop's owner or for the server. The key is tagged for servers and
    pods, and its owner's for a laptop; a pod's node disappears after the pod. FILE is by default /etc/bawn/fleet.json.
    """
    *files, node = words
    if len(files) > 1:
        raise SettingsError("expected [FILE] NODE, one node at a time.")
    _check_expiration(expiration)
    fleet = load(named_or_installed(Path(files[0]) if files else None), caps=False)
    headscale = Headscale(program, config=config, remote=remote)
    key = make_key(fleet, node, headscale, expiration=expiration, again=again, now=datetime.now(UTC))
    if out is not None:
        write_key(out, key)
    _tell(key, out, as_json=as_json)


def _check_expiration(text: str) -> None:
    found = _EXPIRATION.fullmatch(text)
    if found is None:
        raise SettingsError(f"--expiration: {text} is no duration; write it as 30m, 1h or 2d.")
    if int(found[1]) * _SECONDS[found[2]] > _MOST_DAYS * _SECONDS["d"]:
        raise SettingsError(
            f"--expiration: {text} is longer than {_MOST_DAYS}d, the most: whoever finds an unused key can join with "
            "it. Make the key when the machine is there."
        )


def _show(found: Plan) -> None:
    for step in found.steps:
        click.echo(f"will {step}")
    if not found.steps:
        click.echo("Nothing to do.")
    for note in found.notes:
        click.echo(note)


def _agreed() -> bool:
    if sys.stdin.isatty():
        return click.confirm("Do this?")
    click.echo("Nothing was done: there is nobody to ask; add --yes.", err=True)
    return False


def _tell(key: JoinKey, out: Path | None, *, as_json: bool) -> None:
    command = command_of(key, str(out) if out else None)
    if as_json:
        told = msgspec.to_builtins(key) | {"command": command}
        if out is not None:
            told |= {"key": None, "key_file": str(out)}
        click.echo(msgspec.json.encode(told).decode())
        return
    where = {"laptop": f"On {key.node}", "pod": "In the pod's environment"}.get(key.role, f"On {key.node}, in bash")
    until = f"{key.expires:%Y-%m-%d %H:%M} UTC"
    file = f" {out} holds the key: take it there first." if out else ""
    elsewhere = " Without sudo on macOS and Windows." if key.role == "laptop" else ""
    click.echo(f"{where}, once, until {until}.{elsewhere}{file}", err=True)
    click.echo(command)
