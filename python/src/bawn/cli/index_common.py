"""What the commands that have to do with an index share."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

INDEX_OPTION = click.option(
    "--index",
    "index_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Index directory; without it, `index` in bawn's state folder.",
)


@contextmanager
def progress_bar() -> "Generator[Progress | None]":
    """Lines on a terminal that say how far tasks are, each by its field `state`; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    # A tenth of a second, which a timer's run does without.
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(SpinnerColumn(), *columns, console=Console(stderr=True), transient=True) as bar:
        yield bar
