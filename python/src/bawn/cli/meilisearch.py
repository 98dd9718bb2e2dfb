"""`bawn index meilisearch`: let a Meilisearch server have an index, and give it keys that reach nothing else."""

from pathlib import Path

import click

from bawn.cli.index_common import INDEX_OPTION
from bawn.contracts.errors import SettingsError
from bawn.contracts.search import INDEXES, Index
from bawn.indexer.lock import writer_lock
from bawn.search.meilisearch.keys import register, scoped_keys
from bawn.search.meilisearch.publishing import roll_back
from bawn.search.meilisearch.server import Server, connect
from bawn.search.opening import meilisearch_server
from bawn.search.placement import MeilisearchSettings, check_server, meilisearch_settings, use_meilisearch
from bawn.service.settings import read_secret, state_dir

_ANSWER_S = 30.0
_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)

_url_option = click.option("--url", required=True, help="Of the server: http://host:port.")
_kind_option = click.option(
    "--kind", type=click.Choice(INDEXES), default="code", show_default=True, help="Which of our indexes."
)


@click.group()
def command() -> None:
    """Keep an index in a Meilisearch server."""


@command.command()
@click.option("--url", help="Of the server, http://host:port, to make the keys known to it; without it, files alone.")
@click.option("--master-key-file", required=True, type=_FILE, help="File with the server's master key.")
@click.option("--into", required=True, type=_FOLDER, help="Folder in which the keys' files are written.")
@click.option(
    "--name", "names", multiple=True, default=["code"], show_default=True, help="Of an index in the server; repeatable."
)
@click.option(
    "--within",
    "within_s",
    type=float,
    default=0.0,
    help="Seconds for which a server that doesn't answer is waited for.",
)
def keys(url: str | None, master_key_file: Path, into: Path, names: tuple[str, ...], within_s: float) -> None:
    """Make the two keys of each index: NAME-indexer.key writes it, NAME-search.key may only read it.

    They follow from the master key, so that a second run writes the same ones.
    """
    for name in names:
        check_server(url or "http://localhost", name, origin="--url or --name")
    master_key = read_secret(master_key_file)
    for name in names:
        for key in scoped_keys(name):
            _write(into / f"{name}-{key.purpose}.key", key.text(master_key))
    if url is None:
        return
    # Last: whoever waits for the files has them while the server is still starting.
    server = Server(connect(url, master_key, read_s=_ANSWER_S))
    server.await_start(within_s)
    for name in names:
        register(server, name)


def _write(file: Path, secret: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(f"{secret}\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: can't be written: {error.strerror}.") from error
    click.echo(file)


@command.command()
@_url_option
@click.option("--key-file", required=True, type=_FILE, help="File with the key of whoever uses this index directory.")
@click.option("--name", help="Of the index in the server; without it, as ours.")
@_kind_option
@INDEX_OPTION
def use(url: str, key_file: Path, name: str | None, kind: Index, index_dir: Path | None) -> None:
    """Let the server have an index of this index directory: runs fill it there, searches ask there."""
    index_dir = index_dir or state_dir() / "index"
    settings = MeilisearchSettings(url=url, key_file=str(key_file.absolute()), index=name)
    with writer_lock(index_dir):
        use_meilisearch(index_dir, kind, settings)
    click.echo(f"{index_dir}: the index `{kind}` is Meilisearch's from now on. Fill it with `bawn index run`.")


@command.command()
@_kind_option
@INDEX_OPTION
def leave(kind: Index, index_dir: Path | None) -> None:
    """Use the embedded index again; the server keeps what it has."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        use_meilisearch(index_dir, kind, None)
    click.echo(f"{index_dir}: the index `{kind}` is embedded from now on. Bring it up to date: `bawn index run`.")


@command.command()
@_kind_option
@INDEX_OPTION
def rollback(kind: Index, index_dir: Path | None) -> None:
    """Search the index from before the last `bawn index run --rebuild` again."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        settings = meilisearch_settings(index_dir, kind)
        if settings is None:
            raise SettingsError(f"{index_dir}: no Meilisearch server has its index `{kind}`.")
        roll_back(meilisearch_server(settings, read_s=_ANSWER_S), settings.index or kind)
    click.echo("The index from before the last rebuild is searched again. `bawn index run` brings it up to date.")
