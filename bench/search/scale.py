"""A gigabyte of source and a million chunks: memory while they are indexed, and how long questions take then."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bawn.search.tools import IndexSearch
from bench.report import Row, row
from bench.search import chain
from bench.search.corpora import read_corpus
from bench.search.engines import meilisearch, ours, ripgrep
from bench.search.engines.engine import NotMeasured
from bench.search.indexing import one_core, run_ours
from bench.search.large import Repository, repositories
from bench.search.packages import LARGE, PROJECTS
from bench.search.places import Place
from bench.search.plan import Plan
from bench.search.timing import WARM_UP, p95, questions, timed, told
from bench.search.watching import Watch
from support.meilisearch import as_packaged

_SIZE: Final = 1_000_000_000
_CHUNKS: Final = 1_000_000
_MORE: Final = 100_000_000
"""Bytes that are added at once while there are too few chunks."""
_QUESTIONS: Final = 500
_OF_RIPGREP: Final = 10
"""Questions to ripgrep, which reads everything each time."""


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """Where the index is, and what is asked of it there."""

    label: str
    memory: str
    """The bar of the most memory while indexing; empty: none."""
    question: str
    """The bar of a question in the process."""


EMBEDDED: Final = Backend(label="", memory="≤ 350 MiB", question="≤ 40 ms")
REMOTE: Final = Backend(label=", on Meilisearch", memory="≤ 350 MiB", question="≤ 60 ms")
_CALL: Final = "≤ 60 ms"


def rows(plan: Plan) -> list[Row]:
    """With the embedded index."""
    with _folder(plan, "scale") as folder:
        return _measured(plan, EMBEDDED, folder, folder / "index")


def rows_on_meilisearch(plan: Plan) -> list[Row]:
    """With a Meilisearch server on the indexer's core; its own memory is told beside the indexer's."""
    with _folder(plan, "scale-meilisearch") as folder:
        try:
            with meilisearch.serving(folder, one_core(), as_packaged()) as server, Watch(server.process.pid) as watch:
                index_dir = folder / "index"
                meilisearch.use(server, index_dir, "scale")
                found = _measured(plan, REMOTE, folder, index_dir)
                own = row("the server's memory, on Meilisearch", watch.mib, "", None, "MiB", note="mapped files too")
                return [*found, own]
        except NotMeasured as error:
            name = f"a question among {_CHUNKS:,} chunks, p95{REMOTE.label}"
            return [row(name, None, "", None, "ms", bar=REMOTE.question, note=str(error))]


@contextlib.contextmanager
def _folder(plan: Plan, name: str) -> Generator[Path]:
    folder = plan.scratch / name
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _measured(plan: Plan, backend: Backend, folder: Path, index_dir: Path) -> list[Row]:
    projects = plan.size(LARGE, PROJECTS[:2])
    sources = folder / "sources"
    laid = repositories(projects, sources, plan.size(_SIZE, 8_000_000))
    _register(laid, index_dir)
    size = sum(one.size for one in laid) / 1e6
    print(f"Indexing {size:,.0f} MB …", file=sys.stderr, flush=True)
    first, again = run_ours(index_dir), run_ours(index_dir)
    label = f"{size:,.0f} MB of source"
    found = [
        row(f"{label}: indexed on one core{backend.label}", size / first.seconds, "", None, "MB/s", bar="≥ 1 MB/s"),
        row(
            f"{label}: indexed again, nothing changed{backend.label}",
            size / again.seconds, "the first time", size / first.seconds, "MB/s", bar="≥ 50 ×",
            note=f"{again.seconds:.2f} s",
        ),
        row(
            f"{label}: most memory of the indexer{backend.label}", first.held_mib, "", None, "MiB",
            bar=backend.memory, note=f"all its processes; with files that it maps, whose memory the system takes back "
            f"when it needs it, {first.mib:,.0f}",
        ),
    ]  # fmt: skip
    chunks = _grow(plan, index_dir, laid, sources)
    asked = questions([read_corpus(project) for project in projects[:3]], plan.size(_QUESTIONS, 10))
    name = f"{chunks:,} chunks: "
    took = timed(ours.searching(index_dir), asked)
    theirs = _ripgrep(sources, asked)
    found.append(
        row(
            f"{name}a question, p95{backend.label}", p95(took), ripgrep.NAME, p95(theirs) if theirs else None, "ms",
            bar=backend.question, note=f"{told(took)}; ripgrep over the same files, {_OF_RIPGREP} questions",
        )
    )  # fmt: skip
    calls = chain.called(index_dir, folder / "gateway", asked[WARM_UP:], asked[:WARM_UP])
    found.append(
        row(
            f"{name}a call of the MCP tool, p95{backend.label}", p95(calls), "bawn, in the process", p95(took), "ms",
            bar=_CALL, note=f"{told(calls)}; client, HTTP and gateway included",
        )
    )  # fmt: skip
    return found


def _register(laid: list[Repository], index_dir: Path) -> None:
    for one in laid:
        ours.told("add", str(one.folder), "--name", one.name, "--index", str(index_dir))


def _grow(plan: Plan, index_dir: Path, laid: list[Repository], sources: Path) -> int:
    """Add repositories until there are enough chunks; how many there are."""
    while True:
        content = IndexSearch(index_dir).content()
        chunks = sum(one.chunks for one in content.repos)
        if chunks >= plan.size(_CHUNKS, 1_000):
            return chunks
        added: list[Repository] = []
        while sum(one.size for one in added) < plan.size(_MORE, 1_000_000):
            source = laid[len(added) % len(laid)]
            name = f"{source.name}-{chunks}-{len(added)}"
            shutil.copytree(source.folder, sources / name)
            added.append(Repository(name, sources / name, source.size))
        _register(added, index_dir)
        run_ours(index_dir)


def _ripgrep(folder: Path, asked: Sequence[str]) -> list[float]:
    """Milliseconds of ripgrep alone, whose output nobody reads here."""

    def search(text: str, _limit: int) -> list[Place]:
        subprocess.run(
            ripgrep.command(text), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        return []

    try:
        return timed(search, asked[: 1 + _OF_RIPGREP], warm_up=1)
    except NotMeasured:
        return []
