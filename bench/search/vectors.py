"""What vectors add to the words, and what they cost: the same questions, asked with them and without."""

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Final

import msgspec

from bench.report import Row, row
from bench.search.engines import embedding, ours
from bench.search.engines.embedding import EmbeddingModel, WithVectors
from bench.search.engines.engine import Copy, Engine, NotMeasured, Search
from bench.search.places import Place
from bench.search.plan import Plan
from bench.search.quality import GROUPS, Tally, ask_all, beside
from bench.search.tasks.every import TASKS
from bench.search.timing import p95, told
from bench.search.watching import Watch

WORDS: Final = "bawn, words alone"
_PROJECTS: Final = ("click", "axios", "puppeteer-core", "werkzeug", "flask", "rxjs")
"""The three smallest of either group: a processor embeds some twenty chunks a second."""


def rows(plan: Plan) -> list[Row]:
    """A row for each task of either group of projects, and what it costs."""
    plan = msgspec.structs.replace(plan, scratch=plan.scratch / "vectors")
    plan.scratch.mkdir()
    with ExitStack() as stack:
        try:
            model = stack.enter_context(embedding.serving(plan.scratch))
        except NotMeasured as error:
            return [row("with vectors", None, WORDS, None, "", note=str(error))]
        watch = stack.enter_context(Watch(model.process.pid))
        return _measured(plan, model, watch)


def _measured(plan: Plan, model: EmbeddingModel, watch: Watch) -> list[Row]:
    with_vectors = WithVectors(url=model.url, scratch=plan.scratch)
    took: list[float] = []
    took_words: list[float] = []
    words = msgspec.structs.replace(ours.embedded(plan.scratch), name=WORDS)
    engines = [_timed(words, took_words), _timed(with_vectors.engine, took)]
    tally = Tally()
    ask_all(plan, [one for one in plan.projects if one.package.name in _PROJECTS], engines, tally)
    if tally.missing:
        raise NotMeasured("; ".join(tally.missing.values()))
    found = [
        beside(tally, task, held_out, task.measure, embedding.NAME, WORDS, "") for task in TASKS for held_out in GROUPS
    ]
    texts, seconds = (sum(getattr(one, name) for one in with_vectors.runs) for name in ("embedded", "seconds"))
    cores = f"{model.name}; on {len(os.sched_getaffinity(0))} cores"
    note = f"with vectors {told(took)}; words alone {told(took_words)}; the model on the same cores"
    return [
        *found,
        row("chunks embedded", texts / seconds, "", None, "chunks/s", note=f"{texts:,} chunks by {cores}"),
        row("the model server that embeds: most memory", watch.mib, "", None, "MiB"),
        row("a question, p95, with vectors", p95(took), WORDS, p95(took_words), "ms", note=note),
        row("questions with a vector that was late or missing", float(len(with_vectors.notes)), "", None, ""),
    ]


def _timed(engine: Engine, took: list[float]) -> Engine:
    """An engine whose milliseconds for each question are added to `took`."""

    @contextmanager
    def opened(copy: Copy) -> Generator[Search]:
        with engine.opened(copy) as search:

            def timed(text: str, limit: int) -> list[Place]:
                started = perf_counter()
                found = search(text, limit)
                took.append(1000 * (perf_counter() - started))
                return found

            yield timed

    return Engine(engine.name, opened)
