"""Rows, page and chart show every engine, those that were not measured too."""

import msgspec
import pytest

from bench.report import Row, verdict
from bench.search import quality
from bench.search.chart import chart, engines
from bench.search.engines import meilisearch, ours, strong
from bench.search.measures import Score
from bench.search.places import Place
from bench.search.quality import Line, Tally, title
from bench.search.section import section
from bench.search.tasks.every import TASKS

NAMES = [ours.NAME, strong.NAME, "ripgrep", meilisearch.OURS]


def tally(mine: float, theirs: float) -> Tally:
    made = Tally()
    made.missing[meilisearch.OURS] = "no server"
    for task in TASKS:
        for held_out in (False, True):
            for name, value in ((ours.NAME, mine), (strong.NAME, theirs), ("ripgrep", 0.1)):
                line = Line("app", held_out, task.name, name, "x", (Place("a"),), [], value)
                made.add(line, Score(value, value, value, value, value))
    return made


@pytest.fixture
def rows() -> list[Row]:
    return made(0.6, 0.6)


def made(mine: float, theirs: float) -> list[Row]:
    of = tally(mine, theirs)
    found = [
        row for task in TASKS for held_out in (False, True) for row in quality.task_rows(of, NAMES, task, held_out)
    ]
    return [msgspec.structs.replace(row, part="quality") for row in found]


def test_as_good_is_enough_but_for_changes_and_comments(rows: list[Row]) -> None:
    for task in TASKS:
        for held_out in (False, True):
            (row,) = (one for one in rows if one.bar and one.name == title(task.name, task.measure, held_out))
            assert row.peer == strong.NAME
            assert row.ok is (task.name not in ("changelog line → file", "comment → function"))
    assert all(
        row.ok for row in made(0.7, 0.6) if row.bar and "Meilisearch" not in row.name and "apart" not in row.name
    )


def test_what_has_no_server_is_not_measured_and_not_met(rows: list[Row]) -> None:
    missing = [row for row in rows if row.bar and ("on Meilisearch" in row.name or "apart" in row.name)]
    assert len(missing) == 2 * 2 * len(TASKS)
    assert {verdict(row) for row in missing} == {"not measured"}
    assert all("no server" in row.note for row in missing)


def test_page_and_chart_have_every_engine(rows: list[Row]) -> None:
    assert engines(rows) == NAMES
    text = section(rows)
    for task in TASKS:
        assert f"| {task.name} | {ours.NAME} |" in text
    assert "0.60 / 0.60" in text
    assert "– / –" in text
    drawn = chart(rows)
    assert drawn.count("not measured") == 2 * len(TASKS)
    assert drawn.count('class="own"') == 2 * len(TASKS)
    assert section([]) == ""
