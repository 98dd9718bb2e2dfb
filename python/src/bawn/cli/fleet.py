"""`bawn fleet`: check the team's one description, render settings and policy from it, show who reaches what.

What speaks to Headscale is in `joining`.
"""

import ipaddress
import sys
from pathlib import Path

import click
from rich.console import Console

from bawn.cli.fleet_file import load
from bawn.cli.joining import apply_command, join_key_command
from bawn.contracts.errors import SettingsError
from bawn.fleet.policy.comparison import problems_of_policy
from bawn.fleet.policy.language import parse_policy
from bawn.fleet.policy.rendering import Product, encoded, render_policy
from bawn.fleet.rendering import Places, render, write
from bawn.fleet.schema import ROLES, Fleet
from bawn.fleet.showing import people_table, reach_notes, reach_table

_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
_DEFAULT = Places()


@click.group()
def command() -> None:
    """Check the fleet, render settings and policy, show who reaches what, let nodes join.

    FILE is the fleet, .toml or .json: people, nodes, models and repositories, with the keys of `bawn.fleet` in Nix.
    """


command.add_command(apply_command)
command.add_command(join_key_command)


@command.command()
@_FILE
def check(file: Path) -> None:
    """Say everything that can't work in FILE.

    Each with its key, all at once. Exit status 0 when all is well, else 1.
    """
    fleet = load(file)
    roles = [f"{len(nodes)} {role}" for role in ROLES if (nodes := fleet.of_role(role))]
    click.echo(f"{file}: good. Fleet {fleet.name}: people: {len(fleet.people)}; nodes: {', '.join(roles)}.")


@command.command(name="render")
@_FILE
@click.option("--node", required=True, help="Whose settings: a key of `nodes`.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder that they are written to."
)
@click.option(
    "--host", default=_DEFAULT.host, show_default=True, help="Address to listen on: on a server its tailnet address."
)
@click.option(
    "--weights-dir", default=_DEFAULT.weights_dir, show_default=True, help="Folder of the weights on a GPU host or pod."
)
@click.option("--index-dir", default=_DEFAULT.index_dir, show_default=True, help="Search index on the gateway host.")
@click.option("--key-file", default=_DEFAULT.key_file, show_default=True, help="Gateway's API key on a laptop.")
def render_command(
    file: Path, node: str, out: Path, host: str, weights_dir: str, index_dir: str, key_file: str
) -> None:
    """Write the settings files that the services of one node read.

    A gateway gets gateway.json, a GPU host or pod model-server.json, a laptop bridge.json, and Headscale, whose
    settings are none of bawn's, an empty folder.
    """
    # The memory of a host is judged where its units are known: `bawn fleet check` takes the defaults, NixOS the real.
    fleet = load(file, caps=False)
    for flag, path in {"--weights-dir": weights_dir, "--index-dir": index_dir, "--key-file": key_file}.items():
        if not path.startswith("/"):
            raise SettingsError(
                f"{flag}: {path} is no absolute path, and services have no folder or home of their own."
            )
    places = Places(host=host, weights_dir=weights_dir, index_dir=index_dir, key_file=key_file)
    files = render(fleet, node, places)
    _check_host(host, loopback="bridge.json" in files)
    for path in write(files, out):
        click.echo(path)


@command.command()
@_FILE
def show(file: Path) -> None:
    """Who can reach what, and who may use which models and indexes."""
    fleet = load(file)
    console = Console()
    console.print(reach_table(fleet), people_table(fleet), sep="\n")
    for note in reach_notes(fleet):
        console.print(note, highlight=False)


@command.command()
@_FILE
@click.option(
    "--for", "product", type=click.Choice(["headscale", "tailscale"]), help="Default: what runs the fleet's tailnet."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Policy's file; default: the terminal.")
@click.option(
    "--check", "judged", type=click.Path(dir_okay=False, path_type=Path), help="Judge this policy; write nothing."
)
def policy(file: Path, product: Product | None, out: Path | None, judged: Path | None) -> None:
    """Render the tailnet's policy, or judge one.

    Every pair of nodes is asked at every port that matters, strangers too. A policy that grants more or less than the
    fleet means is not written; each difference is named, exit status 1.
    """
    if judged is not None and (out is not None or product is not None):
        raise SettingsError("--check: judges a policy and writes none; leave out --for and --out.")
    fleet = load(file, caps=False)
    text = _read(judged) if judged else encoded(render_policy(fleet, product or _product(fleet)))
    wrong = problems_of_policy(fleet, parse_policy(text, origin=str(judged or file)))
    for problem in wrong:
        click.echo(f"{judged or file}: {problem}", err=True)
    if wrong:
        sys.exit(1)
    if judged is not None:
        click.echo(f"{judged}: good. It grants what {file} means, and nothing else.")
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(write({out.name: text}, out.parent)[0])


def _product(fleet: Fleet) -> Product:
    return "tailscale" if fleet.tailnet.managed else "headscale"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--check: {path}: can't be read: {error.strerror}.") from error


def _check_host(host: str, *, loopback: bool) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise SettingsError(f"--host: {host} is no IP address.") from None
    if loopback and not address.is_loopback:
        raise SettingsError(f"--host: a bridge listens on loopback only, not on {host}.")
    if address.is_unspecified:
        raise SettingsError(
            f"--host: {host} is every network, the public one too, whatever the tailnet's policy says; name one."
        )
