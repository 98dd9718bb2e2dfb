"""`bawn search`: search the index of this machine from a terminal."""

from pathlib import Path

import click
import msgspec

from bawn.cli.index_common import INDEX_OPTION
from bawn.contracts.search import INDEXES, Chunk, Index
from bawn.search.query import read_query
from bawn.search.tools import IndexSearch
from bawn.service.settings import state_dir

_SNIPPET_LINES = 8


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--in", "index", type=click.Choice(INDEXES), default="code", show_default=True, help="Index.")
@click.option("--repo", help="Only this repository, or library.")
@click.option("--path", help="Only this folder, file or glob.")
@click.option("--language", help="Only this language.")
@click.option("--limit", default=8, show_default=True, help="Results at most.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@INDEX_OPTION
def command(
    query: tuple[str, ...],
    index: Index,
    repo: str | None,
    path: str | None,
    language: str | None,
    limit: int,
    as_json: bool,
    index_dir: Path | None,
) -> None:
    """Search what is indexed for QUERY: a name, a path, or what the code does in words."""
    text = " ".join(query)
    result = IndexSearch(index_dir or state_dir() / "index", index).search(text, repo, path, language, limit)
    if as_json:
        click.echo(msgspec.json.encode(result))
        return
    if not result.chunks:
        click.echo("Nothing found.")
    elif result.note:
        click.secho(result.note, dim=True)
    words = set(read_query(text).words)
    for chunk in result.chunks:
        symbols = "  " + ", ".join(chunk.symbols[:5]) if chunk.symbols else ""
        click.secho(f"{chunk.repo} {chunk.location}", bold=True, nl=False)
        click.echo(symbols)
        for line in _snippet(chunk, words):
            click.echo(f"    {line[:160]}")
        click.echo()


def _snippet(chunk: Chunk, words: set[str]) -> list[str]:
    """The run of lines of a chunk that has most of the query's words."""
    lines = chunk.text.rstrip("\n").split("\n")
    hits = [sum(1 for word in words if word in line.lower()) for line in lines]
    starts = range(max(1, len(lines) - _SNIPPET_LINES + 1))
    best = max(starts, key=lambda start: (sum(hits[start : start + _SNIPPET_LINES]), -start))
    return lines[best : best + _SNIPPET_LINES]
