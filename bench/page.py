"""docs/benchmarks.md: what stands between its marks is written from the results, all else by hand."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.peers.environment import ROOT
from bench.plot import plot
from bench.report import Results, summary, table

PAGE: Final = ROOT / "docs" / "benchmarks.md"


def page_with(text: str, name: str, results: Results, more: str = "") -> str:
    """The page with the results of one bench, and `more` that the bench has to say before its table.

    Raises:
        ValueError: it has no marks for that bench.
    """
    begin, end = f"<!-- {name}: written by make bench-{name} -->", f"<!-- {name}: end -->"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
    if found is None:
        raise ValueError(f"The page has no place for bench-{name}: {begin} … {end}.")
    return f"{text[: found.start()]}{begin}\n\n{_section(name, results, more)}\n\n{end}{text[found.end() :]}"


def _section(name: str, results: Results, more: str) -> str:
    where = ", ".join(results.machine.values())
    with_ = ", ".join(f"{package} {version}" for package, version in results.versions.items())
    missed = [f"- {row.name} ({row.peer}): {row.note}" for row in results.rows if row.ok is False]
    parts = [
        f"`{results.command}` on {where}; {with_}.",
        f"![each figure beside its bar](benchmarks-{name}.svg)",
        *([more] if more else []),
        table(results.rows),
        summary(results.rows) + (" These are not:" if missed else ""),
        *(["\n".join(missed)] if missed else []),
    ]
    return "\n\n".join(parts)


def write_page(page: Path, name: str, results: Results, more: str = "", plots: Mapping[str, str] | None = None) -> None:
    """Write the results into the page, and the plot beside it; `plots` are more of them, by what sets them apart."""
    text = page_with(page.read_text(encoding="utf-8"), name, results, more)
    drawn = {name: plot(f"make bench-{name}", results.rows)}
    drawn |= {f"{name}-{part}": svg for part, svg in (plots or {}).items()}
    for part, svg in drawn.items():
        page.with_name(f"{page.stem}-{part}.svg").write_text(svg, encoding="utf-8")
    page.write_text(text, encoding="utf-8")
