"""`python -m bench.model`: measure, print the table, write results, page and plot."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from bawn import __version__
from bawn.model_server.engine.options import physical_cores
from bench.machine import load, machine, version
from bench.model import (
    agent_trace,
    autocomplete,
    endurance,
    leaving,
    restart,
    sessions,
    speculation,
    throughput,
)
from bench.model.models import real
from bench.model.plan import Plan
from bench.page import PAGE, write_page
from bench.peers.environment import KEPT, ROOT, native_server, pinned
from bench.report import Results, Row, row, summary, table

PARTS: Final[dict[str, Callable[[Plan], Awaitable[list[Row]]]]] = {
    "throughput": throughput.rows,
    "agent_trace": agent_trace.rows,
    "sessions": sessions.rows,
    "restart": restart.rows,
    "leaving": leaving.rows,
    "autocomplete": autocomplete.rows,
    "speculation": speculation.rows,
    "endurance": endurance.rows,
}
RESULTS: Final = ROOT / "bench" / "results" / "model.json"
_QUICK: Final = KEPT / "bench" / "model-quick.json"
_BUSY: Final = 0.5


async def measure(plan: Plan, names: Sequence[str]) -> list[Row]:
    """The rows of the parts; a part that breaks is one row that says so."""
    rows: list[Row] = []
    for name in names:
        started = monotonic()
        print(f"{name} …", file=sys.stderr, end=" ", flush=True)
        try:
            found = await PARTS[name](plan)
        except Exception as error:  # noqa: BLE001 - the other parts are worth measuring all the same
            found = [row(name, None, "", None, "", bar="= 0", note=f"broke: {type(error).__name__}: {error}")]
        rows += [msgspec.structs.replace(one, part=name) for one in found]
        print(f"{monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return rows


def versions() -> dict[str, str]:
    """Of what was measured."""
    peer = native_server()
    return {
        "bawn": __version__,
        "llama-cpp-python": version("llama-cpp-python"),
        "llama.cpp's server": "llama-server" if peer else f"xllamacpp {pinned('model', 'xllamacpp')}",
    }


async def run(plan: Plan, names: Sequence[str], command: str) -> Results:
    """Measure, until it is done or a signal ends it; servers are stopped in any case."""
    task = asyncio.current_task()
    if task is not None:
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return Results(machine=machine(), versions=versions(), command=command, rows=await measure(plan, names))


def main() -> int:
    arguments = argparse.ArgumentParser(prog="bench.model", description=__doc__)
    arguments.add_argument("--only", default="", help=f"parts, with commas: {', '.join(PARTS)}")
    arguments.add_argument("--quick", action="store_true", help="small sizes, to see that it works; not recorded")
    arguments.add_argument("--model", type=Path, help="GGUF for throughput and speculation; default: SmolLM2")
    arguments.add_argument("--threads", type=int, default=physical_cores(), help="of every server")
    options = arguments.parse_args()
    names = [name for name in options.only.split(",") if name] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        arguments.error(f"there is no {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    if load() > _BUSY:
        print(f"This machine has other work to do (load {load():.1f}): the figures will show it.", file=sys.stderr)
    plan = Plan(threads=options.threads, model=options.model or real(), full=not options.quick)
    given = "" if len(sys.argv) == 1 else f' ARGS="{" ".join(sys.argv[1:])}"'
    try:
        results = asyncio.run(run(plan, names, f"make bench-model{given}"))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    print(table(results.rows))
    print(summary(results.rows))
    if not plan.full:
        results.write(_QUICK)
        return 0
    if options.only:
        results = results.over_recorded(RESULTS, names)
    order = list(PARTS)
    rows = sorted(results.rows, key=lambda one: order.index(one.part))
    results = msgspec.structs.replace(results, rows=rows)
    results.write(RESULTS)
    write_page(PAGE, "model", results)
    print(f"{RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)} are written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
