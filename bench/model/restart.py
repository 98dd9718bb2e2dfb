"""A server that is stopped and started again between two turns of a session, as a rented machine is overnight."""

import tempfile
from collections.abc import Awaitable, Callable
from statistics import fmean, stdev

from bench.client import Client
from bench.model.agent_trace import ANSWER, KINDS
from bench.model.plan import Plan, measure
from bench.model.trace import Trace, trace
from bench.report import Row
from bench.servers import Serving
from bench.sides import Measured, Side, compared, side

Step = Callable[[Client], Awaitable[Measured]]


async def rows(plan: Plan) -> list[Row]:
    """For a plain and for a hybrid model: the next turn after a restart beside the same turn without one."""
    found: list[Row] = []
    turns, first, last = plan.size(8, 4), plan.size(6000, 2500), plan.size(10000, 3500)
    for kind in KINDS:
        restarted, kept = Side("bawn"), Side("bawn", name="bawn, not restarted")
        for run in range(plan.size(32, 1)):
            session = trace(300 + run, measure(), turns=turns, first=first, last=last)
            before, after = _all_but_the_last(session), _last(session)
            with tempfile.TemporaryDirectory(prefix="bawn-bench-") as one, tempfile.TemporaryDirectory() as other:
                serving = plan.serving(plan.generated(kind), n_ctx=16384, n_slots=2, state_dir=one)
                again = plan.serving(plan.generated(kind), n_ctx=16384, n_slots=2, state_dir=other)
                without = [(serving, kept, (before, after))]
                with_one = [(again, restarted, (before,)), (again, restarted, (_somebody_else, after))]
                # Who goes first changes, so that a drift hits both alike.
                for settings, into, steps in [*with_one, *without] if run % 2 else [*without, *with_one]:
                    await _served(settings, into, *steps)
        what = f"{kind}: next turn after a restart, {last / 1000:g}k tokens"
        # Each run is another session, the same for both.
        for name, key, unit in (("fed", "fed", "tokens"), ("first token", "first", "ms")):
            said = f"mean; the same session {_apart(restarted, kept, key, unit)}"
            found.append(compared(f"{what}: {name}", key, restarted, kept, unit, "≤ 1 ×", of=fmean, said=said))
    return found


def _apart(restarted: Side, kept: Side, key: str, unit: str) -> str:
    """By how much the same session differs, with the standard error of that."""
    apart = [one - other for one, other in zip(restarted.samples[key], kept.samples[key], strict=False)]
    error = f" ± {stdev(apart) / len(apart) ** 0.5:.1f}" if len(apart) > 1 else ""
    return f"{fmean(apart):+.1f}{error} {unit}" if apart else "on one side only"


async def _served(serving: Serving, into: Side, *steps: Step) -> None:
    async with side("bawn", serving) as one:
        for step in steps:
            await one.measure(step)
    into.absorb(one)


def _all_but_the_last(session: Trace) -> Step:
    async def turns(client: Client) -> Measured:
        for messages in session.turns[:-1]:
            await client.chat(messages, tools=session.tools, max_tokens=ANSWER)
        return {}

    return turns


def _last(session: Trace) -> Step:
    async def turn(client: Client) -> Measured:
        answer = await client.chat(session.turns[-1], tools=session.tools, max_tokens=ANSWER)
        return {"fed": answer.fed_tokens, "first": 1000 * answer.first_s}

    return turn


async def _somebody_else(client: Client) -> Measured:
    # Whose question is the first after the start: it is not what a start costs that is measured.
    await client.chat([{"role": "user", "content": "Are you there?"}], max_tokens=1)
    return {}
