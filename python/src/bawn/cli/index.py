"""`bawn index`: register repositories, bring the index up to date, say what is in it."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click
import msgspec

from bawn.cli import embedding, index_bundle, index_libraries, index_report
from bawn.cli.index_common import INDEX_OPTION, progress_bar
from bawn.cli.lazy import Lazy, LazyGroup
from bawn.contracts.errors import RequestError, SettingsError
from bawn.contracts.repositories import is_address
from bawn.contracts.search import CODE_INDEX, INDEXES, Index
from bawn.indexer.bundles.uploads import delete_unused as delete_unused_uploads
from bawn.indexer.copies import branches_of, delete_unused, fetch_all
from bawn.indexer.indexing import Progress, Report
from bawn.indexer.libraries.shelf import Shelf
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Libraries, Registry, Repository
from bawn.indexer.remote import Remote
from bawn.indexer.run import Outcome, run_index
from bawn.search.backend import NoIndex
from bawn.search.opening import IndexPlace
from bawn.search.placement import embedding_settings
from bawn.service.settings import state_dir

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_FILE = click.Path(dir_okay=False, path_type=Path)
_LAZY: Final = {"meilisearch": Lazy("meilisearch", "Keep an index in a Meilisearch server.")}
"""It has an HTTP client, which runs without one do without: one in which nothing has changed is imports, mostly."""


@click.group(cls=LazyGroup, lazy=_LAZY)
def command() -> None:
    """Index repositories for search."""


command.add_command(index_report.command, "report")
command.add_command(embedding.settings, "embedding")
command.add_command(embedding.embed, "embed")
command.add_command(index_libraries.registry, "registry")
command.add_command(index_bundle.bundle)
command.add_command(index_bundle.upload)


@command.command()
@click.argument("place")
@click.option("--name", help="Name in searches; without it, the last part of PLACE.")
@click.option("--branch", "branches", multiple=True, help="Branch whose commit is indexed, or pattern of such.")
@click.option("--into", "index", type=click.Choice(INDEXES), default="code", show_default=True, help="Index.")
@click.option("--project", metavar="FOLDER", help="Only what is below this folder of the repository.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that such a glob names.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="No file that such a glob names.")
@click.option(
    "--libraries",
    type=click.Choice(get_args(Libraries)),
    help="Documentation of what its lock files name: of what it needs itself, or of all. It is fetched.",
)
@click.option("--key-file", type=_FILE, help="Deploy key, of a URL with ssh.")
@click.option("--known-hosts-file", type=_FILE, help="The server's public keys, of a URL with ssh.")
@click.option("--token-file", type=_FILE, help="Token, or user:password, of a URL with https.")
@click.option("--ca-file", type=_FILE, help="Certificate of the authority that the server is signed by.")
@INDEX_OPTION
def add(
    place: str,
    name: str | None,
    branches: tuple[str, ...],
    index: Index,
    project: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    libraries: Libraries | None,
    index_dir: Path | None,
    **access: Path | None,
) -> None:
    """Register the git repository or plain folder PLACE, or the repository at the URL PLACE.

    A folder is indexed as it lies there, or with --branch the commits of those branches. Of a URL, branches are fetched
    into the index directory: main, or those of --branch.
    """
    index_dir = index_dir or state_dir() / "index"
    how = {"index": index, "project": project, "include": list(include), "exclude": list(exclude)}
    how |= {"libraries": libraries}
    opened = {key: str(file.absolute()) for key, file in access.items() if file is not None}
    with writer_lock(index_dir):
        registry = Registry(index_dir)
        if is_address(place):
            repository = registry.add_remote(Remote(place, **opened), name, branches or ("main",), **how)
        else:
            if opened:
                raise SettingsError(f"{place}: is no URL, for which alone --{next(iter(opened)).replace('_', '-')} is.")
            repository = registry.add(Path(place), name, branches, **how)
    click.echo(f"{repository.name}: registered. Index it with `bawn index run`.")


@command.command()
@click.argument("names", nargs=-1)
@click.option("--within", type=float, help="Seconds for packages; what is left comes with the next fetch.")
@INDEX_OPTION
def fetch(names: tuple[str, ...], within: float | None, index_dir: Path | None) -> None:
    """Fetch the registered repositories that have a URL, or those of NAMES, and the packages of the libraries that lock
    files name; index nothing."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        if not _fetch(index_dir, names, math.inf if within is None else within):
            sys.exit(1)


def _fetch(index_dir: Path, names: tuple[str, ...], within_s: float = math.inf) -> bool:
    """Whether all went well."""
    repositories = Registry(index_dir).repositories()
    well = True
    for copy in fetch_all([one for one in repositories if one.name in names or not names]):
        told = ", ".join(copy.branches) if copy.error is None else copy.error
        click.echo(f"{', '.join(copy.names)}: {'fetched ' if copy.error is None else ''}{told}", err=bool(copy.error))
        well = well and copy.error is None
    delete_unused(index_dir, repositories)
    return index_libraries.fetch(index_dir, repositories, names, within_s) and well


@command.command()
@click.argument("name")
@INDEX_OPTION
def remove(name: str, index_dir: Path | None) -> None:
    """Forget the repository NAME; the next run takes it out of the index."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        registry = Registry(index_dir)
        registry.remove(name)
        delete_unused_uploads(index_dir, registry.repositories())
    click.echo(f"{name}: forgotten. The next `bawn index run` takes it out.")


@command.command()
@click.argument("names", nargs=-1)
@click.option("--rebuild", is_flag=True, help="Make the whole index anew; the old one serves until it is done.")
@click.option("--no-fetch", is_flag=True, help="Take repositories that have a URL, and libraries, as fetched last.")
@click.option("--no-embed", is_flag=True, help="Leave the vectors as they are; `bawn index embed` makes them.")
@INDEX_OPTION
def run(names: tuple[str, ...], rebuild: bool, no_fetch: bool, no_embed: bool, index_dir: Path | None) -> None:
    """Bring the index up to date with the registered repositories, or with those of NAMES, and with their libraries."""
    index_dir = index_dir or state_dir() / "index"
    well = True
    if not no_fetch and any(one.remote or one.libraries for one in Registry(index_dir).repositories()):
        with writer_lock(index_dir):
            well = _fetch(index_dir, names)
    try:
        outcomes = _run(index_dir, names, rebuild=rebuild)
    except RequestError as error:
        # A server's fault, and none of the command line: the next run may go through.
        click.echo(f"bawn: {error}", err=True)
        sys.exit(1)
    for outcome in outcomes:
        if not outcome.is_library or outcome.error is not None:
            click.echo(_summary(outcome), err=outcome.error is not None)
    if libraries := [one.progress for one in outcomes if one.is_library and one.progress is not None]:
        click.echo(_summary(Outcome("libraries", index_libraries.together(libraries), None)))
    if not no_embed and embedding_settings(index_dir) is not None:
        well = embedding.embed_now(index_dir) and well
    # A package that can't be read is nobody's fault here, and the same tomorrow.
    if not well or any(outcome.error and not outcome.is_library for outcome in outcomes):
        sys.exit(1)


def _run(index_dir: Path, names: tuple[str, ...], *, rebuild: bool) -> list[Outcome]:
    with progress_bar() as bar:
        return run_index(index_dir, names, rebuild=rebuild, begin=_begin(bar))


def _begin(bar: "Bar | None") -> Callable[[Repository], Report]:
    if bar is None:
        return lambda _: lambda _: None
    libraries: list[TaskID] = []

    def begin(repository: Repository) -> Report:
        if repository.is_library and libraries:
            task = libraries[0]
            bar.update(task, description=repository.name)
        else:
            task = bar.add_task(repository.name, total=None, state="")
        if repository.is_library:
            libraries[:] = [task]

        def report(progress: Progress) -> None:
            if progress.seen % 16 == 0:
                bar.update(
                    task, state=f"{progress.seen:,} files  {progress.bytes / 1e6:.1f} MB  {progress.rate:.1f} MB/s"
                )

        return report

    return begin


def _summary(outcome: Outcome) -> str:
    progress = outcome.progress
    if progress is None:
        return f"{outcome.name}: {outcome.error}"
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(progress.skipped.items()))
    masked = ", ".join(f"{count} {rule}" for rule, count in sorted(progress.masked.items()))
    size = f"{progress.chunks:,} chunks, {progress.bytes / 1e6:.2f} MB"
    return (
        f"{progress.repo}: {progress.indexed:,} files indexed ({size}), "
        f"{progress.unchanged:,} unchanged, {progress.removed:,} removed in {progress.seconds:.2f} s"
        + (f" ({progress.rate:.2f} MB/s)" if progress.bytes else "")
        + (f"; left out: {skipped}" if skipped else "")
        + (f"; masked: {masked}" if masked else "")
    )


class _Status(msgspec.Struct):
    name: str
    index: Index
    path: str
    """Of a remote repository, its address."""
    branch: str | None
    """What was asked for; several and patterns with commas."""
    files: int
    chunks: int
    libraries: int | None = None
    """How many its lock files name, where their documentation is wanted."""
    documented: int | None = None
    """Of how many there is some."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@INDEX_OPTION
def status(as_json: bool, index_dir: Path | None) -> None:
    """What is registered, and what the index has of it."""
    index_dir = index_dir or state_dir() / "index"
    repositories = Registry(index_dir).repositories()
    places = {index: IndexPlace(index_dir, index) for index in INDEXES}
    shelf = Shelf(index_dir)
    rows = [_status_of(repository, places[repository.index], shelf) for repository in repositories]
    if as_json:
        click.echo(msgspec.json.encode({"index": str(index_dir), "repositories": rows}))
        return
    click.echo(f"Index: {index_dir}")
    for row in rows:
        branch = f" ({row.branch})" if row.branch else ""
        state = f"{row.files:,} files, {row.chunks:,} chunks" if row.files else "not indexed yet"
        into = f" into {row.index}" if row.index != CODE_INDEX else ""
        named = "" if row.libraries is None else f", {row.documented:,} of {row.libraries:,} libraries"
        click.echo(f"{row.name}: {state}{into}{named}  {row.path}{branch}")
    if not rows:
        click.echo("No repository is registered: add one with `bawn index add PATH`.")


def _status_of(repository: Repository, place: IndexPlace, shelf: Shelf) -> _Status:
    try:
        counts = [place.backend().count(one.name) for one in branches_of(repository)]
    except (NoIndex, SettingsError):
        counts = []
    files, chunks = sum(files for files, _ in counts), sum(chunks for _, chunks in counts)
    path = repository.folder if repository.remote is None else repository.remote.url
    branch = ", ".join(repository.branches) or None
    status = _Status(repository.name, repository.index, path, branch, files, chunks)
    if repository.libraries:
        state = index_libraries.state_of(shelf, repository)
        status.libraries, status.documented = state.named, state.documented
    return status
