"""An agent's session: what of each growing prompt is fed again, and how long the first token takes."""

import asyncio
from statistics import fmean
from typing import Final, Literal

from bench.client import Client
from bench.model.plan import Plan, measure
from bench.model.trace import Message, Trace, trace
from bench.report import Row
from bench.sides import Measured, both, compared, in_turn

ANSWER: Final = 16
"""Tokens of each answer: calls of tools are short."""
KINDS: Final[tuple[Literal["plain", "hybrid"], ...]] = ("plain", "hybrid")
_EDITS: Final = (0.5, 0.35, 0.65, 0.5, 0.4, 0.6)
"""Where in the session a message is changed."""


async def rows(plan: Plan) -> list[Row]:
    """For a plain and for a hybrid model: growing turns, and a change in the middle."""
    found: list[Row] = []
    turns, first, last = plan.size(20, 5), 2000, plan.size(12000, 3500)
    for kind in KINDS:
        serving = plan.serving(plan.generated(kind), n_ctx=2 * plan.size(16384, 8192), n_slots=2)
        async with both(serving) as sides:
            rng = plan.random(f"edits of {kind}")
            for run in range(plan.size(2, 1)):
                session = trace(100 + run, measure(), turns=turns, first=first, last=last)
                for turn in range(turns):
                    await in_turn(sides, run + turn, lambda client, one=session, turn=turn: _turn(client, one, turn))
                for at in range(plan.size(3, 2)):
                    edited = session.edited(_EDITS[(3 * run + at) % len(_EDITS)], rng)
                    await in_turn(
                        sides, run + at, lambda client, one=session, edited=edited: _edit(client, one, edited)
                    )
            for one in sides:
                await one.check_counts()
            mine, peer = sides
            turned = f"a turn, 2nd to {turns}th, {first / 1000:g}k to {last / 1000:g}k tokens"
            # Each turn and each change is another: all of them together are compared.
            for name, key in ((turned, "turn"), ("one message changed in the middle", "edit")):
                for what, unit in (("fed", "tokens"), ("first token", "ms")):
                    row = compared(
                        f"{kind}: {name}: {what}", f"{key} {what}", mine, peer, unit, "≤ 1 ×", of=fmean, said="mean"
                    )
                    found.append(row)
    return found


async def _turn(client: Client, session: Trace, turn: int) -> Measured:
    asked = client.chat(session.turns[turn], tools=session.tools, max_tokens=ANSWER)
    if turn:
        answer = await asked
        return {"turn fed": answer.fed_tokens, "turn first token": 1000 * answer.first_s}
    # The first is the same for everybody, since nothing is there yet; the title is asked for beside it.
    title = [{"role": "system", "content": "You write titles."}, session.turns[0][1]]
    await asyncio.gather(asked, client.chat(title, max_tokens=ANSWER))
    return {}


async def _edit(client: Client, session: Trace, edited: list[Message]) -> Measured:
    answer = await client.chat(edited, tools=session.tools, max_tokens=ANSWER)
    return {"edit fed": answer.fed_tokens, "edit first token": 1000 * answer.first_s}
