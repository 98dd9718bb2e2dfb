"""More sessions than slots: eight agents in turn on two slots, and host memory for half of what they hold."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from bench.client import Client
from bench.model.agent_trace import ANSWER, KINDS
from bench.model.models import session_bytes
from bench.model.plan import Plan, measure
from bench.model.trace import Trace, trace
from bench.report import Row
from bench.sides import Measured, both, compared, in_turn, side

SESSIONS: Final = 8
SLOTS: Final = 2
_MIB: Final = 1 << 20


async def rows(plan: Plan) -> list[Row]:
    """For a plain and for a hybrid model: tokens fed and the first token's time, from each session's 2nd turn on."""
    found: list[Row] = []
    turns, last = plan.size(5, 3), plan.size(8000, 5000)
    # They share system prompt and tools, 2,000 tokens, and begin late: most of each is its own.
    sessions = [
        trace(200 + number, measure(), turns=last // 400, first=2000, last=last, system_seed=200)
        for number in range(SESSIONS)
    ]
    held = await _held(plan, sessions)
    for kind in KINDS:
        cache = max(1, sum(session_bytes(kind, tokens) for tokens in held) // 2 // _MIB)
        serving = plan.serving(plan.generated(kind), n_ctx=SLOTS * 12288, n_slots=SLOTS, cache_mib=cache)
        async with both(serving) as sides:
            for turn in range(-turns, 0):
                for number, session in enumerate(sessions):
                    await in_turn(
                        sides, number, lambda client, one=session, turn=turn: _turn(client, one, turn, turn > -turns)
                    )
            for one in sides:
                await one.check_counts()
            mine, peer = sides
            what = f"{kind}: {SESSIONS} sessions in turn on {SLOTS} slots, {cache} MiB of cache"
            # A turn feeds hardly anything or nearly everything: what is in the middle says nothing.
            for name, key, unit in (("fed a turn", "fed", "tokens"), ("first token", "first", "ms")):
                found.append(compared(f"{what}: {name}", key, mine, peer, unit, "≤ 0.5 ×", of=fmean, said="mean"))
    return found


async def _held(plan: Plan, sessions: Sequence[Trace]) -> list[int]:
    """Tokens that each session has in the end, with all that its template adds."""
    async with side("bawn", plan.serving(plan.generated("plain"), n_ctx=SLOTS * 12288, n_slots=SLOTS)) as one:
        for session in sessions:
            await one.measure(lambda client, session=session: _length(client, session))
    return [int(tokens) for tokens in one.samples["tokens"]]


async def _length(client: Client, session: Trace) -> Measured:
    return {"tokens": (await client.chat(session.turns[-1], tools=session.tools, max_tokens=1)).prompt_tokens}


async def _turn(client: Client, session: Trace, turn: int, counts: bool) -> Measured:
    answer = await client.chat(session.turns[turn], tools=session.tools, max_tokens=ANSWER)
    return {"fed": answer.fed_tokens, "first": 1000 * answer.first_s} if counts else {}
