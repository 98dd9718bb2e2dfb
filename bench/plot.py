"""Each figure beside its bar, as an SVG that needs nothing beside itself and is read by day and by night."""

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Final

from bench.report import Row, figure

_WIDTH: Final = 960
_LEFT, _RIGHT, _TOP, _STEP = 470, 800, 92, 24
_LOW, _HIGH = 0.1, 100.0
_TICKS: Final = (0.1, 0.5, 1, 2, 10, 100)
STYLE: Final = """
    text { font: 13px system-ui, sans-serif; fill: #1b1f24 } .paper { fill: #ffffff }
    .title { font-size: 17px; font-weight: 600 } .small { font-size: 12px; fill: #57606a }
    .grid { stroke: #d8dee4 } .bar { stroke: #1b1f24; stroke-width: 2 }
    .met { fill: #0072b2; stroke: #0072b2 } .missed { fill: #d55e00; stroke: #d55e00 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .paper { fill: #0d1117 } .small { fill: #9198a1 } .grid { stroke: #30363d }
      .bar { stroke: #e6edf3 } .met { fill: #58a6ff; stroke: #58a6ff } .missed { fill: #f0883e; stroke: #f0883e }
    }
"""


def plot(title: str, rows: Sequence[Row]) -> str:
    """How many times better than its bar asks each figure is; those left of the line miss it."""
    judged = [row for row in rows if row.bar]
    bottom = _TOP + _STEP * len(judged)
    said = "How many times better than its bar asks each figure is. Left of the line: missed."
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 40}" role="img">',
        f"<title>{escape(title)}: {said}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{bottom + 40}"/>',
        text(16, 30, title, "title"),
        text(16, 52, said, "small"),
    ]
    for tick in _TICKS:
        x = _x(tick)
        kind = "bar" if tick == 1 else "grid"
        drawn.append(f'<line x1="{x}" y1="{_TOP - 12}" x2="{x}" y2="{bottom}" class="{kind}"/>')
        drawn.append(text(x, bottom + 18, f"{tick:g} ×", "small", "middle"))
    for at, row in enumerate(judged):
        drawn += _row(row, _TOP + _STEP * at)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _row(row: Row, y: float) -> list[str]:
    name = row.name if len(row.name) <= 66 else f"{row.name[:65]}…"
    drawn = [text(_LEFT - 14, y + 4, name, anchor="end")]
    margin = row.margin
    if margin is None:
        return [*drawn, text(_x(1) + 8, y + 4, "not measured", "small")]
    x, kind = _x(margin), "met" if row.ok else "missed"
    # A line's shape tells, too, for those who don't see the colours.
    dash = "" if row.ok else ' stroke-dasharray="4 3"'
    drawn.append(f'<line x1="{_x(1)}" y1="{y}" x2="{x}" y2="{y}" class="{kind}" stroke-width="3"{dash}/>')
    drawn.append(f'<circle cx="{x}" cy="{y}" r="5" class="{kind}"/>')
    told = f"{row.ratio:.2f} × ({row.bar})" if row.ratio is not None and row.bar.endswith("×") else ""
    drawn.append(text(_RIGHT + 14, y + 4, told or f"{figure(row.ours)} {row.unit} ({row.bar})", "small"))
    return drawn


def _x(times: float) -> float:
    """Logarithmic; what lies outside is drawn at the edge."""
    within = min(_HIGH, max(_LOW, times))
    return round(_LEFT + (_RIGHT - _LEFT) * log10(within / _LOW) / log10(_HIGH / _LOW), 1)


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    """Text at a point, of a class of `STYLE`."""
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{of}>{escape(said)}</text>'
