"""What is found: every task on every corpus, asked of every engine."""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.peers.environment import KEPT
from bench.report import Row, row
from bench.search.corpora import Project, lay, read_corpus
from bench.search.downloads import NotThere
from bench.search.engines import embedding, meilisearch, ours, peers, ripgrep, strong
from bench.search.engines.engine import Copy, Engine, NotMeasured
from bench.search.measures import DEPTH, MEASURES, Score, by_file, interval, mean, score
from bench.search.places import Place
from bench.search.plan import Plan
from bench.search.tasks.every import TASKS
from bench.search.tasks.task import Asked, Task

GROUPS: Final = {False: "", True: ", held out"}
_WAYS: Final = {meilisearch.OURS: ", on Meilisearch", embedding.NAME: ", with vectors"}
ANSWERS: Final = KEPT / "bench" / "search-answers.jsonl"
"""Each question, and what each engine found: to look at where the ranking can be better."""
_DEPTH_OF_FILES: Final = 3 * DEPTH
"""Results that are asked for where files count, of which there may be several chunks."""
_AGREE: Final = "≤ 2 %"


class Line(msgspec.Struct, frozen=True):
    """One question and one engine's answer, in `ANSWERS`."""

    project: str
    held_out: bool
    task: str
    engine: str
    query: str
    answers: tuple[Place, ...]
    found: list[Place]
    reciprocal_rank: float


class Tally:
    """The scores of all engines, question by question in the same order."""

    def __init__(self) -> None:
        self.scores: defaultdict[tuple[str, str, bool], list[Score]] = defaultdict(list)
        """By engine, task and whether the project is held out."""
        self.missing: dict[str, str] = {}
        """Why an engine was not asked everything."""
        self.lines: list[Line] = []

    def add(self, line: Line, found: Score) -> None:
        """Note how well one engine answered one question."""
        self.scores[line.engine, line.task, line.held_out].append(found)
        self.lines.append(line)

    def of(self, engine: str, task: str, held_out: bool) -> list[Score]:
        """Scores of an engine that was asked everything; else none."""
        return [] if engine in self.missing else self.scores[engine, task, held_out]


@contextlib.contextmanager
def _engines(scratch: Path) -> Generator[tuple[list[Engine], dict[str, str]]]:
    """The engines, and why some of them are none."""
    found = [ours.embedded(scratch), strong.ENGINE, ripgrep.ENGINE, peers.bm25s(scratch), peers.semble(scratch)]
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(meilisearch.serving(scratch))
            found += [meilisearch.as_our_backend(server, scratch), meilisearch.untouched(server)]
        except NotMeasured as error:
            missing |= dict.fromkeys((meilisearch.OURS, meilisearch.UNTOUCHED), str(error))
        yield found, missing


def measured(plan: Plan) -> tuple[Tally, list[str]]:
    """Ask everything; the names of all engines, ours first, the peers last."""
    tally = Tally()
    with _engines(plan.scratch) as (engines, missing):
        tally.missing |= missing
        ask_all(plan, plan.projects, engines, tally)
        names = [*(engine.name for engine in engines), *missing]
        return tally, sorted(names, key=lambda name: name not in (ours.NAME, meilisearch.OURS))


def ask_all(plan: Plan, projects: Iterable[Project], engines: Sequence[Engine], tally: Tally) -> None:
    """Ask every engine all questions to some projects.

    Raises:
        NotMeasured: a package can't be had.
    """
    for project in projects:
        try:
            corpus = read_corpus(project)
        except NotThere as error:
            raise NotMeasured(str(error)) from error
        asked = [(task, task.ask(corpus, plan.size(task.per_project, 10))) for task in TASKS]
        for number, group in enumerate(_by_copy(asked)):
            files = group[0][1].files
            label = f"{corpus.name}-{number}"
            folder = plan.scratch / "copies" / label
            lay(files, folder)
            for engine in engines:
                print(f"\r{label}: {engine.name} …\x1b[K", file=sys.stderr, end="", flush=True)
                _ask(engine, Copy(label, folder, files), corpus.name, project.held_out, group, tally)
    print("\r\x1b[K", file=sys.stderr, end="", flush=True)


def _by_copy(asked: Sequence[tuple[Task, Asked]]) -> list[list[tuple[Task, Asked]]]:
    """Tasks that search the same files together; those without a question are left out."""
    groups: list[list[tuple[Task, Asked]]] = []
    for task, one in asked:
        if not one.queries:
            continue
        same = next((group for group in groups if group[0][1].files is one.files), None)
        if same is None:
            groups.append([(task, one)])
        else:
            same.append((task, one))
    return groups


def _ask(
    engine: Engine, copy: Copy, project: str, held_out: bool, group: Sequence[tuple[Task, Asked]], tally: Tally
) -> None:
    if engine.name in tally.missing:
        return
    try:
        with engine.opened(copy) as search:
            for task, asked in group:
                for query in asked.queries:
                    if task.by_file:
                        found = by_file(search(query.text, _DEPTH_OF_FILES))[:DEPTH]
                    else:
                        found = search(query.text, DEPTH)
                    scored = score(found, query)
                    rank = scored.reciprocal_rank
                    line = Line(project, held_out, task.name, engine.name, query.text, query.answers, found, rank)
                    tally.add(line, scored)
    except NotMeasured as error:
        tally.missing[engine.name] = str(error)


def rows(plan: Plan) -> list[Row]:
    """A row for each task, measure and engine that ours is beside, of both groups of projects."""
    tally, names = measured(plan)
    ANSWERS.parent.mkdir(parents=True, exist_ok=True)
    ANSWERS.write_bytes(msgspec.json.Encoder().encode_lines(tally.lines))
    found: list[Row] = []
    for task in TASKS:
        for held_out in GROUPS:
            found += task_rows(tally, names, task, held_out)
    return found


def task_rows(tally: Tally, names: Sequence[str], task: Task, held_out: bool) -> list[Row]:
    """The rows of one task over one group of projects; `names` are all engines."""
    found: list[Row] = []
    for measure in MEASURES:
        for name in names:
            if name == ours.NAME:
                continue
            bar = task.bar if name == strong.NAME and measure == task.measure else ""
            found.append(beside(tally, task, held_out, measure, ours.NAME, name, bar))
    found.append(beside(tally, task, held_out, task.measure, meilisearch.OURS, strong.NAME, task.bar))
    found.append(_distance(tally, task, held_out))
    return found


def title(task: str, measure: str, held_out: bool, engine: str = ours.NAME) -> str:
    """The name of a row."""
    return f"{task}: {measure}{_WAYS.get(engine, '')}{GROUPS[held_out]}"


def _values(tally: Tally, engine: str, task: Task, held_out: bool, measure: str) -> list[float]:
    return [one.of(measure) for one in tally.of(engine, task.name, held_out)]


def _mean(tally: Tally, engine: str, task: Task, held_out: bool, measure: str) -> float | None:
    scores = tally.of(engine, task.name, held_out)
    return mean(scores).of(measure) if scores else None


def beside(tally: Tally, task: Task, held_out: bool, measure: str, engine: str, peer: str, bar: str) -> Row:
    """A row of one engine beside another."""
    mine, theirs = (_values(tally, one, task, held_out, measure) for one in (engine, peer))
    notes = [f"{len(mine)} questions"]
    if measure == task.measure and mine and theirs:
        low, high = interval(mine, theirs)
        notes.append(f"difference {low:+.3f} to {high:+.3f} (95 %)")
    notes += [f"{one}: {tally.missing[one]}" for one in (engine, peer) if one in tally.missing]
    return row(
        title(task.name, measure, held_out, engine),
        _mean(tally, engine, task, held_out, measure),
        peer,
        _mean(tally, peer, task, held_out, measure),
        measure,
        bar=bar,
        note="; ".join(notes),
    )


def _distance(tally: Tally, task: Task, held_out: bool) -> Row:
    """How far ours on Meilisearch lies from ours with the embedded index."""
    embedded, remote = (_mean(tally, one, task, held_out, task.measure) for one in (ours.NAME, meilisearch.OURS))
    away = None if not embedded or remote is None else 100 * abs(remote - embedded) / embedded
    note = tally.missing.get(meilisearch.OURS) or f"{embedded or 0:.3f} embedded, {remote or 0:.3f} on Meilisearch"
    name = f"{task.name}: {task.measure}, backends apart{GROUPS[held_out]}"
    return row(name, away, "", None, "%", bar=_AGREE, note=note)
