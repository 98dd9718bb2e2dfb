"""`bawn weights`: pin, fetch and verify the weights of models."""

import sys
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bawn.cli.fleet_file import load, named_or_installed
from bawn.contracts.errors import SettingsError
from bawn.fleet import naming
from bawn.fleet.catalogue import CATALOGUE, entry, of_file
from bawn.fleet.problems import key_of, listed
from bawn.fleet.schema import SERVING_ROLES, Fleet, Model
from bawn.fleet.stanza import nix, toml
from bawn.model_server.weights.downloading import new_client
from bawn.model_server.weights.fetching import Wanted, fetch, take
from bawn.model_server.weights.links import file_name, link
from bawn.model_server.weights.pinning import pin, pin_file
from bawn.model_server.weights.progress import shown

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_as_option = click.option("--as", "name", metavar="NAME.gguf", help="The file's name, where the URL doesn't end in it.")
_name_option = click.option("--name", "model_name", default="coder", show_default=True, help="Its name in the fleet.")
_nix_option = click.option("--nix", "as_nix", is_flag=True, help="Print it for fleet.nix; else for fleet.toml.")


@click.group()
def command() -> None:
    """Pin the weights of models, fetch and verify them.

    Weights are known by their SHA-256: it stands in the fleet, and a file that has another one is not used.
    """


@command.command(name="pin")
@click.argument("url")
@click.option("--file", "local", type=_FILE, help="What was downloaded from URL already: hash it, and ask no network.")
@_as_option
@_name_option
@_nix_option
def pin_command(url: str, local: Path | None, name: str | None, model_name: str, as_nix: bool) -> None:
    """Say size and SHA-256 of the weights at URL, as an entry of the fleet.

    All of the file is read, once, and nothing is kept. Compare the hash with what its publisher says, where they do.
    """
    address = link(url)
    file = _file(name or file_name(address))
    _check_name(model_name)
    with shown(file, sys.stderr) as progress:
        if local is not None:
            found = pin_file(local, progress)
        else:
            with new_client() as client:
                found = pin(client, address, progress)
    known = of_file(file)
    model = known.model if known else Model(file=file, size_mib=0)
    pinned = msgspec.structs.replace(model, size_mib=found.size_mib, url=str(address), sha256=found.sha256)
    click.echo((nix if as_nix else toml)(model_name, pinned), nl=False)


@command.command(name="fetch")
@click.argument("source", required=False, metavar="[FLEET|URL]")
@click.option("--node", help="The weights of this node of the fleet.")
@click.option("--model", "model_name", help="The weights of this model of the fleet.")
@click.option("--sha256", help="With URL: what the file must have, as `bawn weights pin` prints it.")
@_as_option
@click.option("--to", "folder", required=True, type=_FOLDER, help="Folder that they are put into.")
@click.option("--from", "carried", type=_FOLDER, help="Folder of files fetched elsewhere: use it, and ask no network.")
def fetch_command(
    source: str | None,
    node: str | None,
    model_name: str | None,
    sha256: str | None,
    name: str | None,
    folder: Path,
    carried: Path | None,
) -> None:
    """Bring weights into a folder, and verify them.

    What an interrupted run has left is gone on with; the file has its name only when it is whole and its SHA-256 is
    right. One that is there already is verified. FLEET is by default /etc/bawn/fleet.json, and needs --node or --model;
    URL needs --sha256. Prints the path of each file: a node may have a second model, which embeds.
    """
    if source is not None and "://" in source:
        if node or model_name:
            raise SettingsError("--node, --model: belong to a fleet's file, not to a URL.")
        wanted = [_of_url(source, sha256, name)]
    else:
        if sha256 or name:
            raise SettingsError("--sha256, --as: belong to a URL; a fleet's file has its own.")
        wanted = _of_fleet(load(named_or_installed(Path(source) if source else None), caps=False), node, model_name)
    for one in wanted:
        with shown(one.file, sys.stderr) as progress:
            if carried is not None:
                brought = take(one, carried, folder, progress)
            else:
                with new_client() as client:
                    brought = fetch(one, folder, client, progress)
        click.echo(f"{one.file}: {brought.way}, {brought.size:,} bytes; the SHA-256 is right.", err=True)
        click.echo(brought.path)


@command.command()
@click.argument("name", required=False, metavar="[ENTRY]")
@_name_option
@_nix_option
def catalogue(name: str | None, model_name: str, as_nix: bool) -> None:
    """Show the models that are known to suit, or print ENTRY as an entry of the fleet.

    Sizes are approximate, and no hashes are given: `bawn weights pin URL` says both for the file that you choose.
    """
    if name is not None:
        _check_name(model_name)
        click.echo((nix if as_nix else toml)(model_name, entry(name).model), nl=False)
        return
    table = Table("entry", "weights", "card", "context", "slots", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for known in CATALOGUE:
        model = known.model
        numbers = (f"{model.size_mib:,} MiB", f"{known.card_gib} GiB", f"{model.context_tokens:,}", str(model.slots))
        table.add_row(known.name, *numbers)
    Console(highlight=False).print(table)
    click.echo(f"The first is the default: `bawn weights catalogue {CATALOGUE[0].name}` prints its entry of the fleet.")


def _of_url(url: str, sha256: str | None, name: str | None) -> Wanted:
    address = link(url)
    if sha256 is None:
        raise SettingsError(f"--sha256: what must the file have? `bawn weights pin {address}` says it.")
    if not naming.SHA256.fullmatch(sha256.lower()):
        raise SettingsError("--sha256: expected 64 hexadecimal digits, as `bawn weights pin` prints them.")
    return Wanted(_file(name or file_name(address)), sha256.lower(), str(address))


def _of_fleet(fleet: Fleet, node: str | None, name: str | None) -> list[Wanted]:
    if node is None and name is not None:
        return [_of_model(fleet, fleet.aliases.get(name, name))]
    if node is None or name is not None:
        raise SettingsError("--node, --model: name one of the two; whose weights?")
    if node not in fleet.nodes:
        raise SettingsError(f"--node: {node} is no node of the fleet; known: {listed(fleet.nodes)}.")
    serving = fleet.nodes[node]
    if serving.role not in SERVING_ROLES:
        raise SettingsError(f"--node: {node} is a {serving.role} and serves no model.")
    return [_of_model(fleet, one) for one in (serving.models[0], serving.embedding_model) if one is not None]


def _of_model(fleet: Fleet, key: str) -> Wanted:
    if key not in fleet.models:
        raise SettingsError(f"--model: there is no model {key}; known: {listed({**fleet.models, **fleet.aliases})}.")
    model = fleet.models[key]
    if model.sha256 is None:
        raise SettingsError(
            f"{key_of('models', key)}: has no url and sha256, so nobody knows which {model.file} is right. "
            "Choose an address; `bawn weights pin URL` prints both."
        )
    return Wanted(model.file, model.sha256, model.url)


def _file(name: str) -> str:
    if not naming.WEIGHTS.fullmatch(name):
        raise SettingsError(f"--as: {name or 'the URL'} names no weights' file; give NAME.gguf.")
    return name


def _check_name(name: str) -> None:
    if not naming.MODEL.fullmatch(name):
        raise SettingsError(f"--name: {name} can't be a model's name; use letters, digits and . _ : / -.")
