"""What indexing costs on one core, and what a question costs then, beside the peers on the same files."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

import msgspec

from bench.report import Row, row
from bench.search.corpora import lay, read_corpus
from bench.search.engines import meilisearch, ours, peers, ripgrep
from bench.search.engines.engine import Copy, NotMeasured
from bench.search.packages import LARGE, PROJECTS
from bench.search.plan import Plan
from bench.search.timing import p95, questions, timed, told
from bench.search.watching import Watch
from support.meilisearch import as_packaged

_WITHIN_S: Final = 6 * 3600
_QUESTIONS: Final = 200


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one engine takes. None: it has no index."""

    index_s: float | None = None
    again_s: float | None = None
    """When nothing has changed."""
    memory_mib: float | None = None
    """The most while it indexes, servers included."""
    question_ms: Sequence[float] = ()


def one_core() -> tuple[str, ...]:
    """What stands before a command line that is to have one core.

    Raises:
        NotMeasured: this system can't.
    """
    if shutil.which("taskset") is None:
        raise NotMeasured("`taskset` is missing, which gives a process one core")
    return "taskset", "--cpu-list", str(max(os.sched_getaffinity(0)))


class Run(NamedTuple):
    """What `bawn index run` took."""

    seconds: float
    mib: float
    held_mib: float
    """Without mapped files."""


def run_ours(index_dir: Path) -> Run:
    """`bawn index run` on one core.

    Raises:
        NotMeasured: it failed.
    """
    started = perf_counter()
    process = subprocess.Popen(
        [*one_core(), *ours.command("run", "--index", str(index_dir))],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with Watch(process.pid) as watch:
        _, said = process.communicate(timeout=_WITHIN_S)
    if process.returncode:
        last = said.strip().splitlines()
        raise NotMeasured(f"`bawn index run` failed: {last[-1] if last else process.returncode}")
    return Run(perf_counter() - started, watch.mib, watch.held_mib)


def _ours(copy: Copy, scratch: Path, asked: Sequence[str]) -> Cost:
    index_dir = scratch / "indexing-embedded"
    ours.told("add", str(copy.folder), "--name", copy.label, "--index", str(index_dir))
    first, again = run_ours(index_dir), run_ours(index_dir)
    return Cost(
        index_s=first.seconds,
        again_s=again.seconds,
        memory_mib=first.mib,
        question_ms=timed(ours.searching(index_dir), asked),
    )


def _ours_on_meilisearch(copy: Copy, scratch: Path, asked: Sequence[str]) -> Cost:
    index_dir = scratch / "indexing-meilisearch"
    with meilisearch.serving(scratch, one_core(), as_packaged()) as server, Watch(server.process.pid) as watch:
        meilisearch.use(server, index_dir, "indexing")
        ours.told("add", str(copy.folder), "--name", copy.label, "--index", str(index_dir))
        first, again = run_ours(index_dir), run_ours(index_dir)
        took = timed(ours.searching(index_dir), asked)
    # The two peaks need not be at one moment: together they are at most this.
    return Cost(index_s=first.seconds, again_s=again.seconds, memory_mib=first.mib + watch.mib, question_ms=took)


def _untouched(copy: Copy, scratch: Path, asked: Sequence[str]) -> Cost:
    with meilisearch.serving(scratch, one_core()) as server:
        with Watch(server.process.pid) as watch:
            started = perf_counter()
            with meilisearch.untouched(server).opened(copy) as search:
                seconds = perf_counter() - started
                return Cost(index_s=seconds, memory_mib=watch.mib, question_ms=timed(search, asked))


def _peer(script: str) -> Callable[[Copy, Path, Sequence[str]], Cost]:
    def measure(copy: Copy, scratch: Path, asked: Sequence[str]) -> Cost:
        started = perf_counter()
        with peers.Peer([*one_core(), *peers.peer_command(script, str(copy.folder))], scratch) as peer:
            with Watch(peer.process.pid) as watch:
                peer.ready()
                seconds = perf_counter() - started
            return Cost(index_s=seconds, memory_mib=watch.mib, question_ms=timed(peer.search, asked))

    return measure


def _ripgrep(copy: Copy, _scratch: Path, asked: Sequence[str]) -> Cost:
    with ripgrep.ENGINE.opened(copy) as search:
        return Cost(question_ms=timed(search, asked))


def rows(plan: Plan) -> list[Row]:
    """Speed, memory and questions of each engine on the same real packages."""
    with _copy(plan) as (copy, size, asked):
        measures: dict[str, Callable[[Copy, Path, Sequence[str]], Cost]] = {
            ours.NAME: _ours,
            peers.BM25S: _peer("search_bm25s.py"),
            peers.semble_name(): _peer("search_semble.py"),
            meilisearch.UNTOUCHED: _untouched,
            meilisearch.OURS: _ours_on_meilisearch,
            ripgrep.NAME: _ripgrep,
        }
        costs: dict[str, Cost] = {}
        missing: dict[str, str] = {}
        for name, measure in measures.items():
            try:
                costs[name] = measure(copy, plan.scratch, asked)
            except NotMeasured as error:
                costs[name] = Cost()
                missing[name] = str(error)
    return _rows(costs, missing, size / 1e6)


@contextlib.contextmanager
def _copy(plan: Plan) -> Generator[tuple[Copy, int, list[str]]]:
    """The packages in one folder, how large they are, and questions about them."""
    corpora = [read_corpus(project) for project in plan.size(LARGE[:3], PROJECTS[:1])]
    files = {f"{corpus.name}/{path}": text for corpus in corpora for path, text in corpus.files.items()}
    folder = plan.scratch / "indexing"
    lay(files, folder)
    size = sum(len(text.encode()) for text in files.values())
    yield Copy("indexing", folder, files), size, questions(corpora, plan.size(_QUESTIONS, 10))
    shutil.rmtree(folder)


def _rows(costs: dict[str, Cost], missing: dict[str, str], size: float) -> list[Row]:
    mine = costs[ours.NAME]
    found: list[Row] = []
    for name, cost in costs.items():
        why = "; ".join(f"{one}: {missing[one]}" for one in (ours.NAME, name) if one in missing)
        speeds = [None if one.index_s is None else size / one.index_s for one in (mine, cost)]
        asked = [p95(one.question_ms) if one.question_ms else None for one in (mine, cost)]
        note = why or f"ours {told(mine.question_ms)}; theirs {told(cost.question_ms)}"
        if name == ours.NAME:
            continue
        if name != ripgrep.NAME:
            bar = "≥ 1 MB/s" if name == peers.BM25S else ""
            found.append(
                row(f"{size:.0f} MB indexed on one core", speeds[0], name, speeds[1], "MB/s", bar=bar, note=why)
            )
            used = (mine.memory_mib, cost.memory_mib)
            found.append(row(f"{size:.0f} MB indexed: most memory", used[0], name, used[1], "MiB", note=why))
        found.append(row(f"{size:.0f} MB: a question, p95", asked[0], name, asked[1], "ms", note=note))
    remote = costs[meilisearch.OURS]
    for name, cost, label in ((ours.NAME, mine, ""), (meilisearch.OURS, remote, ", on Meilisearch")):
        first, again = (None if one is None else size / one for one in (cost.index_s, cost.again_s))
        named = f"{size:.0f} MB indexed again, nothing changed{label}"
        found.append(row(named, again, "the first time", first, "MB/s", bar="≥ 50 ×", note=missing.get(name, "")))
    speed = None if remote.index_s is None else size / remote.index_s
    untouched = costs[meilisearch.UNTOUCHED].index_s
    found.append(
        row(
            f"{size:.0f} MB indexed on one core, on Meilisearch",
            speed,
            meilisearch.UNTOUCHED,
            None if untouched is None else size / untouched,
            "MB/s",
            bar="≥ 1 MB/s",
            note=missing.get(meilisearch.OURS, "server and indexer share the core"),
        )
    )
    return found
