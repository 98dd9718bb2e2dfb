"""`bawn index bundle` and `upload`: repositories of teams that give no access, by a file that they look at and send."""

from pathlib import Path

import click
import msgspec

from bawn.cli.index_common import INDEX_OPTION
from bawn.cli.index_report import SHOWN, lines_of
from bawn.contracts.errors import SettingsError
from bawn.contracts.search import INDEXES, Index
from bawn.indexer.branches import is_name
from bawn.indexer.bundles.packing import pack
from bawn.indexer.bundles.uploads import upload as take_in
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry
from bawn.service.settings import state_dir

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("place", type=_FOLDER)
@click.argument("file", type=_FILE)
@click.option("--name", help="Name in searches; without it, the last part of PLACE.")
@click.option("--branch", help="Branch whose commit is packed; without it, what lies in the folder.")
@click.option("--into", "index", type=click.Choice(INDEXES), default="code", show_default=True, help="Index.")
@click.option("--project", metavar="FOLDER", help="Only what is below this folder of the repository.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that such a glob names.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="No file that such a glob names.")
@click.option("--all", "everything", is_flag=True, help=f"Tell every path, and not the first {SHOWN} of each reason.")
@click.option("--force", is_flag=True, help="Replace FILE.")
def bundle(
    place: Path,
    file: Path,
    name: str | None,
    branch: str | None,
    index: Index,
    project: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    everything: bool,
    force: bool,
) -> None:
    """Write to FILE (.tar.gz) what would be indexed of the git repository or plain folder PLACE, secrets masked.

    It needs no access to any host, and gives none: FILE goes to whoever runs the gateway host, for `bawn index upload`.
    """
    if branch is not None and not is_name(branch):
        raise SettingsError(f"`{branch}` is a pattern: a bundle is of one branch.")
    how = {"index": index, "project": project, "include": list(include), "exclude": list(exclude)}
    branches = [] if branch is None else [branch]
    repository = Registry(state_dir() / "index").described(place, name, branches, **how)
    if file.exists() and not force:
        raise SettingsError(f"{file}: is there already: name another file, or replace it with --force.")
    manifest, report = pack(msgspec.structs.replace(repository, branches=[], branch=branch), file)
    for line in lines_of(report, None if everything else SHOWN):
        click.echo(line)
    of = f" of {manifest.branch or 'commit'} {manifest.commit[:12]}" if manifest.commit else ""
    click.echo(
        f"{manifest.name}: {manifest.files:,} files{of}, {manifest.bytes / 1e6:.2f} MB, packed into {file}."
        f" Take it in with `bawn index upload`."
    )


@click.command()
@click.argument("file", type=_FILE)
@click.option("--name", help="Name in searches; without it, the one that the bundle has.")
@click.option("--into", "index", type=click.Choice(INDEXES), help="Index; without it, as before, or as it was packed.")
@INDEX_OPTION
def upload(file: Path, name: str | None, index: Index | None, index_dir: Path | None) -> None:
    """Register the repository in FILE, which `bawn index bundle` wrote, or bring it up to date if it is registered.

    The file is checked before anything changes, and what was uploaded under that name before is replaced as a whole.
    """
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        repository, manifest = take_in(file, index_dir, name, index)
    click.echo(
        f"{repository.name}: {manifest.files:,} files taken in, for the index {repository.index}."
        " Index them with `bawn index run`."
    )
