"""`bawn keys`: make, list and revoke the gateway's API keys."""

from pathlib import Path

import click

from bawn.gateway.auth.store import KeyStore
from bawn.gateway.settings import default_keys_path

_keys_option = click.option(
    "--keys",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The gateway's keys file; by default the one in the state directory.",
)


def _store(path: Path | None) -> KeyStore:
    return KeyStore(path or default_keys_path())


@click.group()
def command() -> None:
    """Make, list and revoke API keys; a running gateway notices at once."""


@command.command()
@click.argument("name")
@_keys_option
def add(name: str, path: Path | None) -> None:
    """Make a key for NAME and print it, this one time.

    Where the gateway's settings name people, NAME is a person as they call them: ada, not ada@example.org.
    """
    store = _store(path)
    key = store.add(name)
    click.echo(key.text)
    click.echo(f"Key {key.stored.id} for {name}. Only its hash is in {store.path}: keep the line above.", err=True)


@command.command(name="list")
@_keys_option
def list_keys(path: Path | None) -> None:
    """Show id, day of making and name of every key."""
    keys = _store(path).read().values()
    for key in sorted(keys, key=lambda k: k.created):
        click.echo(f"{key.id}  {key.created}  {key.name}")
    if not keys:
        click.echo("No keys. `bawn keys add NAME` makes one.", err=True)


@command.command()
@click.argument("key_id", metavar="ID")
@_keys_option
def revoke(key_id: str, path: Path | None) -> None:
    """Remove the key ID: its next request is refused."""
    removed = _store(path).revoke(key_id)
    click.echo(f"Revoked {removed.id} ({removed.name}).")
