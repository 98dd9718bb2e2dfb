"""How well each engine answers each sort of question, as bars that need no colour to be told apart."""

from collections.abc import Sequence
from html import escape
from typing import Final

from bench.plot import STYLE, text
from bench.report import Row, figure
from bench.search.engines import meilisearch, ours, strong
from bench.search.quality import title
from bench.search.tasks.every import TASKS

_WIDTH: Final = 960
_COLUMNS: Final = ((220, "projects that may be tuned on"), (620, "held out"))
_LONGEST: Final = 270
_TOP: Final = 96
_STEP: Final = 17
_GAP: Final = 34
_LABEL: Final = 206
_OWN_STYLE: Final = """
    .value { fill: #8c959f } .own { fill: #0072b2 } .best { fill: #56b4e9 }
    @media (prefers-color-scheme: dark) {
      .value { fill: #6e7681 } .own { fill: #58a6ff } .best { fill: #1f6feb }
    }
"""


def engines(rows: Sequence[Row]) -> list[str]:
    """Ours and what it is beside, each once."""
    peers = dict.fromkeys(row.peer for row in rows if row.name == title(TASKS[0].name, TASKS[0].measure, False))
    return [ours.NAME, *peers]


def value(rows: Sequence[Row], engine: str, task: str, measure: str, held_out: bool) -> float | None:
    """What an engine reached; None where it was not measured."""
    of = [row for row in rows if row.name == title(task, measure, held_out)]
    if engine == ours.NAME:
        return of[0].ours if of else None
    return next((row.peer_value for row in of if row.peer == engine), None)


def chart(rows: Sequence[Row]) -> str:
    """An SVG with a block for each task, and in it a bar for each engine, longer is better."""
    names = engines(rows)
    block = _STEP * len(names) + _GAP
    height = _TOP + block * len(TASKS)
    said = "Longer is better; the longest possible is 1. Beside each bar is its value."
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape('What each way to search finds: ' + said)}</title>",
        f"<style>{STYLE}{_OWN_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        text(16, 30, "What each way to search finds", "title"),
        text(16, 52, said, "small"),
        *(text(left, 78, label, "small") for left, label in _COLUMNS),
    ]
    for number, task in enumerate(TASKS):
        top = _TOP + block * number
        drawn.append(text(16, top + 8, f"{task.name} ({task.measure})"))
        for at, name in enumerate(names):
            y = top + 16 + _STEP * at
            drawn.append(text(_LABEL, y + 10, name, "small", "end"))
            for held_out, (left, _) in enumerate(_COLUMNS):
                drawn += _bar(value(rows, name, task.name, task.measure, bool(held_out)), name, left, y)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _bar(found: float | None, name: str, left: int, y: int) -> list[str]:
    if found is None:
        return [text(left, y + 10, "not measured", "small")]
    kind = {ours.NAME: "own", meilisearch.OURS: "own", strong.NAME: "best"}.get(name, "value")
    length = max(1.0, round(_LONGEST * found, 1))
    return [
        f'<rect class="{kind}" x="{left}" y="{y}" width="{length}" height="{_STEP - 5}" rx="2"/>',
        text(left + length + 6, y + 10, figure(found), "small"),
    ]
