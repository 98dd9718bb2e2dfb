"""What the page says of the answers before the table of bars: every engine's measures, in short."""

from collections.abc import Sequence
from typing import Final

from bench.report import UNKNOWN, Row
from bench.search.chart import engines, value
from bench.search.measures import MEASURES
from bench.search.tasks.every import TASKS

_FIGURE: Final = "![what each way to search finds](benchmarks-search-answers.svg)"
_SAID: Final = (
    "Each cell: the projects that may be tuned on / those held out. In bold is the measure that the task's bar is "
    "about. bawn's row is its embedded index."
)


def section(rows: Sequence[Row]) -> str:
    """Markdown; empty where no answers were measured."""
    if not any(row.part == "quality" for row in rows):
        return ""
    head = ("task", "engine", *MEASURES)
    lines = [head, ("---", "---", *("---:" for _ in MEASURES))]
    for task in TASKS:
        for name in engines(rows):
            cells = [_cell(rows, name, task.name, measure, bold=measure == task.measure) for measure in MEASURES]
            lines.append((task.name, name, *cells))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_FIGURE}\n\n{_SAID}\n\n{table}"


def _cell(rows: Sequence[Row], engine: str, task: str, measure: str, *, bold: bool) -> str:
    found = [value(rows, engine, task, measure, held_out) for held_out in (False, True)]
    text = " / ".join(UNKNOWN if one is None else f"{one:.2f}" for one in found)
    return f"**{text}**" if bold else text
