"""`bawn index`: register repositories, bring the index up to date, say what is in it."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from bawn.contracts.errors import Unavailable
from bawn.indexer.indexing import Progress, Report
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry, Repository
from bawn.indexer.run import Outcome, run_index
from bawn.search.embedded import EmbeddedIndex
from bawn.search.tools import CODE_INDEX
from bawn.service.settings import state_dir

INDEX_OPTION = click.option(
    "--index",
    "index_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Index directory; without it, `index` in bawn's state folder.",
)


@click.group()
def command() -> None:
    """Index repositories for search."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name in searches; without it, the folder's name.")
@click.option("--branch", help="Index the commit of this branch and not the work tree.")
@INDEX_OPTION
def add(path: Path, name: str | None, branch: str | None, index_dir: Path | None) -> None:
    """Register the git repository or plain folder at PATH."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        repository = Registry(index_dir).add(path, name, branch)
    click.echo(f"{repository.name}: registered. Index it with `bawn index run`.")


@command.command()
@click.argument("name")
@INDEX_OPTION
def remove(name: str, index_dir: Path | None) -> None:
    """Forget the repository NAME; the next run takes it out of the index."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        Registry(index_dir).remove(name)
    click.echo(f"{name}: forgotten. The next `bawn index run` takes it out.")


@command.command()
@click.argument("names", nargs=-1)
@click.option("--rebuild", is_flag=True, help="Make the whole index anew; the old one serves until it is done.")
@INDEX_OPTION
def run(names: tuple[str, ...], rebuild: bool, index_dir: Path | None) -> None:
    """Bring the index up to date with the registered repositories, or with those of NAMES."""
    console = Console(stderr=True)
    with Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        outcomes = run_index(index_dir or state_dir() / "index", names, rebuild=rebuild, begin=_begin(bar))
    for outcome in outcomes:
        click.echo(_summary(outcome), err=outcome.error is not None)
    if any(outcome.error for outcome in outcomes):
        sys.exit(1)


def _begin(bar: Bar) -> Callable[[Repository], Report]:
    def begin(repository: Repository) -> Report:
        task = bar.add_task(repository.name, total=None, state="")

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
    size = f"{progress.chunks:,} chunks, {progress.bytes / 1e6:.2f} MB"
    return (
        f"{progress.repo}: {progress.indexed:,} files indexed ({size}), "
        f"{progress.unchanged:,} unchanged, {progress.removed:,} removed in {progress.seconds:.2f} s"
        + (f" ({progress.rate:.2f} MB/s)" if progress.bytes else "")
        + (f"; left out: {skipped}" if skipped else "")
    )


class _Status(msgspec.Struct):
    name: str
    path: str
    branch: str | None
    files: int
    chunks: int


@command.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@INDEX_OPTION
def status(as_json: bool, index_dir: Path | None) -> None:
    """What is registered, and what the index has of it."""
    index_dir = index_dir or state_dir() / "index"
    repositories = Registry(index_dir).repositories()
    try:
        index = EmbeddedIndex(index_dir / CODE_INDEX)
    except Unavailable:
        index = None
    rows: list[_Status] = []
    for repository in repositories:
        files, chunks = index.count(repository.name) if index else (0, 0)
        rows.append(_Status(repository.name, str(repository.path), repository.branch, files, chunks))
    if as_json:
        click.echo(msgspec.json.encode({"index": str(index_dir), "repositories": rows}))
        return
    click.echo(f"Index: {index_dir}")
    for row in rows:
        branch = f" ({row.branch})" if row.branch else ""
        state = f"{row.files:,} files, {row.chunks:,} chunks" if row.files else "not indexed yet"
        click.echo(f"{row.name}: {state}  {row.path}{branch}")
    if not rows:
        click.echo("No repository is registered: add one with `bawn index add PATH`.")
