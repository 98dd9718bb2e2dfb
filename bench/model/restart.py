"""A server that is stopped and started again between two turns of a session, as a rented machine is overnight.

Both servers, the one that was stopped and one that was not, are asked the next turn one after the other, in several
forms: a difference of some milliseconds is smaller than what a machine's speed changes by within a minute.
"""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from statistics import fmean, stdev

from bench.client import Client
from bench.model.agent_trace import ANSWER, KINDS
from bench.model.plan import Plan, measure
from bench.model.trace import Trace, trace
from bench.report import Row
from bench.sides import Measured, Side, compared, in_turn, side

Step = Callable[[Client], Awaitable[Measured]]


async def rows(plan: Plan) -> list[Row]:
    """For a plain and for a hybrid model: the next turn after a restart beside the same turn without one."""
    found: list[Row] = []
    turns, first, last = plan.size(8, 4), plan.size(6000, 2500), plan.size(10000, 3500)
    asked = plan.size(6, 2)
    for kind in KINDS:
        restarted, kept = Side("bawn"), Side("bawn", name="bawn, not restarted")
        for run in range(plan.size(32, 1)):
            session = trace(300 + run, measure(), turns=turns, first=first, last=last)
            with tempfile.TemporaryDirectory(prefix="bawn-bench-") as one, tempfile.TemporaryDirectory() as other:
                serving = plan.serving(plan.generated(kind), n_ctx=16384, n_slots=2, state_dir=one)
                again = plan.serving(plan.generated(kind), n_ctx=16384, n_slots=2, state_dir=other)
                async with side("bawn", serving) as without:
                    await without.measure(_all_but_the_last(session))
                    async with side("bawn", again) as before:
                        await before.measure(_all_but_the_last(session))
                    async with side("bawn", again) as after:
                        for number in range(asked):
                            # In turn: what else the machine does meanwhile hits both alike.
                            await in_turn([without, after], run + number, _next(session, number))
            kept.absorb(without)
            restarted.absorb(before)
            restarted.absorb(after)
        what = f"{kind}: next turn after a restart, {last / 1000:g}k tokens"
        # Each run is another session, the same for both.
        for name, key, unit in (("fed", "fed", "tokens"), ("first token", "first", "ms")):
            said = f"mean; the same turn {_apart(restarted, kept, key, unit, asked)}"
            found.append(compared(f"{what}: {name}", key, restarted, kept, unit, "≤ 1 ×", of=fmean, said=said))
    return found


def _apart(restarted: Side, kept: Side, key: str, unit: str, asked: int) -> str:
    """By how much the same turns differ, with the standard error over sessions; and the first turn of each alone."""
    apart = [one - other for one, other in zip(restarted.samples[key], kept.samples[key], strict=False)]
    sessions = [fmean(apart[at : at + asked]) for at in range(0, len(apart), asked)]
    return f"{_known(sessions, unit)} (the first of each session {_known(apart[::asked], unit)})"


def _known(apart: Sequence[float], unit: str) -> str:
    error = f" ± {stdev(apart) / len(apart) ** 0.5:.1f}" if len(apart) > 1 else ""
    return f"{fmean(apart):+.1f}{error} {unit}" if apart else "on one side only"


def _all_but_the_last(session: Trace) -> Step:
    async def turns(client: Client) -> Measured:
        for messages in session.turns[:-1]:
            await client.chat(messages, tools=session.tools, max_tokens=ANSWER)
        return {}

    return turns


def _next(session: Trace, number: int) -> Step:
    """The last turn, in one of several forms that are different from their first new word on."""
    messages = [dict(message) for message in session.turns[-1]]
    messages[len(session.turns[-2])]["content"] = f"{number + 1}."

    async def turn(client: Client) -> Measured:
        if not number:
            # Whose question is the first after the start: it is not what a start costs that is measured.
            await client.chat([{"role": "user", "content": "Are you there?"}], max_tokens=1)
        answer = await client.chat(messages, tools=session.tools, max_tokens=ANSWER)
        return {"fed": answer.fed_tokens, "first": 1000 * answer.first_s}

    return turn
