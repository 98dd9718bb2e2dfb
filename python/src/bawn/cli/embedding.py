"""`bawn index embedding`, `bawn index embed`: let a model add to the ranking what words can't say."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bawn.cli.index_common import INDEX_OPTION, progress_bar
from bawn.contracts.errors import RequestError
from bawn.indexer.lock import writer_lock
from bawn.search.placement import use_embedding
from bawn.search.vectors.settings import EmbeddingServer, EmbeddingSettings
from bawn.service.settings import state_dir

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from bawn.indexer.embedding import EmbeddingProgress, Report

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def settings() -> None:
    """Say which model embeds the chunks of an index, and the questions."""


@settings.command()
@click.option("--url", "urls", required=True, multiple=True, help="Of a server of /v1/embeddings: http://host:port.")
@click.option(
    "--token-file",
    "token_files",
    multiple=True,
    help="File with the token that it wants, for each --url in turn; a relative name is a credential of the unit.",
)
@click.option("--model", required=True, help="As the servers name it.")
@INDEX_OPTION
def use(urls: tuple[str, ...], token_files: tuple[str, ...], model: str, index_dir: Path | None) -> None:
    """Let a model embed: runs embed what they index, searches their questions.

    Several servers are asked in turn until one can be reached.
    """
    if token_files and len(token_files) != len(urls):
        raise click.UsageError("--token-file is needed for each --url, or for none.")
    index_dir = index_dir or state_dir() / "index"
    tokens = token_files or (None,) * len(urls)
    servers = [EmbeddingServer(url=url, token_file=token) for url, token in zip(urls, tokens, strict=True)]
    with writer_lock(index_dir):
        use_embedding(index_dir, EmbeddingSettings(model=model, servers=servers))
    click.echo(f"{index_dir}: `{model}` embeds from now on. Begin with `bawn index embed`.")


@settings.command()
@INDEX_OPTION
def leave(index_dir: Path | None) -> None:
    """Rank by words alone again; the vectors stay for another time."""
    index_dir = index_dir or state_dir() / "index"
    with writer_lock(index_dir):
        use_embedding(index_dir, None)
    click.echo(f"{index_dir}: words alone rank from now on.")


@click.command()
@INDEX_OPTION
def embed(index_dir: Path | None) -> None:
    """Embed the indexed chunks that have no vector yet; a server that is away is no error."""
    if not embed_now(index_dir or state_dir() / "index"):
        sys.exit(1)


def embed_now(index_dir: Path) -> bool:
    """Whether no server refused."""
    from bawn.indexer.embedding import embed_all  # with an HTTP client, which runs without a model do without

    with progress_bar() as bar:
        try:
            made = embed_all(index_dir, _shown(bar))
        except RequestError as error:
            click.echo(f"bawn: {error}", err=True)
            return False
    for one in made:
        click.echo(_summary(one))
    return True


def _shown(bar: "Bar | None") -> "Report":
    if bar is None:
        return lambda _: None
    task = bar.add_task("vectors", total=None, state="")

    def report(progress: "EmbeddingProgress") -> None:
        left = f"{progress.files_left:,} files left" if progress.files_left else ""
        bar.update(task, state=f"{progress.index}: {progress.embedded:,} texts  {progress.rate:.0f} a second  {left}")

    return report


def _summary(progress: "EmbeddingProgress") -> str:
    rate = f" ({progress.rate:.0f} a second)" if progress.embedded else ""
    told = f"{progress.index}: {progress.embedded:,} texts embedded in {progress.seconds:.1f} s{rate}"
    told += f"; {progress.chunks:,} chunks have a vector"
    if progress.stopped:
        told += f". {progress.stopped.rstrip('.')}: {progress.files_left:,} files are left for the next run"
    return told
