"""Much source: large packages, laid down again and again until it is enough.

What is repeated is real code; only its words don't become more, as those of so much different code would.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.search.corpora import Project, lay, read_corpus


class Repository(NamedTuple):
    """A folder to be indexed."""

    name: str
    folder: Path
    size: int
    """Bytes."""


def repositories(projects: Sequence[Project], folder: Path, size: int) -> list[Repository]:
    """Repositories of at least `size` bytes together; the first ones are the projects themselves.

    Raises:
        NotThere: a package can't be had.
    """
    corpora = [read_corpus(project) for project in projects]
    found: list[Repository] = []
    while sum(one.size for one in found) < size:
        round_, at = divmod(len(found), len(corpora))
        corpus = corpora[at]
        name = f"{corpus.name}-{round_ + 1}"
        lay(corpus.files, folder / name)
        found.append(Repository(name, folder / name, sum(len(text.encode()) for text in corpus.files.values())))
    print(f"{sum(one.size for one in found) / 1e6:,.0f} MB of source in {len(found)}.", file=sys.stderr, flush=True)
    return found
