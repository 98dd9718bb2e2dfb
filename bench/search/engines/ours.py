"""bawn: indexed by its command, searched as its tools do."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bawn.contracts.errors import InvalidRequest
from bawn.search.tools import IndexSearch
from bench.search.engines.engine import Copy, Engine, NotMeasured, Search
from bench.search.places import Place

NAME: Final = "bawn"
_WITHIN_S: Final = 6 * 3600


def command(*arguments: str) -> list[str]:
    """The command line of `bawn index …`."""
    return [sys.executable, "-m", "bawn.cli", "index", *arguments]


def told(*arguments: str) -> str:
    """What `bawn index …` prints.

    Raises:
        NotMeasured: it failed; says why.
    """
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=_WITHIN_S)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise NotMeasured(f"`bawn index` failed: {last[-1] if last else done.returncode}")
    return done.stdout


def searching(index_dir: Path, notes: list[str] | None = None) -> Search:
    """Ask an index that is there; what answers had to do without is added to `notes`."""
    index = IndexSearch(index_dir)

    def search(text: str, limit: int) -> list[Place]:
        try:
            found = index.search(text, limit=limit)
        except InvalidRequest:  # nothing in it is a word
            return []
        if notes is not None and found.note:
            notes.append(found.note)
        return [Place(chunk.path, chunk.start_line, chunk.end_line) for chunk in found.chunks]

    return search


def embedded(scratch: Path) -> Engine:
    """With the embedded index."""

    @contextmanager
    def opened(copy: Copy) -> Generator[Search]:
        index_dir = scratch / f"{copy.label}-embedded"
        told("add", str(copy.folder), "--name", copy.label, "--index", str(index_dir))
        told("run", "--index", str(index_dir))
        yield searching(index_dir)

    return Engine(NAME, opened)
