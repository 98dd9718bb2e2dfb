"""A client that leaves in the middle of a long prefill: how soon the engine works on what waits."""

import asyncio
import contextlib
from time import perf_counter

from bench.client import Client
from bench.model.plan import Plan, measure
from bench.model.trace import code
from bench.report import Row, middle
from bench.sides import Measured, both, compared, in_turn

_WAITS_S = 0.3
"""So long the second request waits before the first one's client leaves."""


async def rows(plan: Plan) -> list[Row]:
    """One slot, so that the second request can only begin when the first is gone; the worst of several tries counts."""
    tokens = plan.size(16000, 8000)
    serving = plan.serving(plan.generated("plain"), n_ctx=plan.size(20480, 12288), n_slots=1)
    async with both(serving) as sides:
        rng = plan.random("leaving")
        for round_ in range(plan.size(12, 2)):
            prompt, share = code(1000 + round_, tokens, measure()), rng.random()
            await in_turn(
                sides, round_, lambda client, prompt=prompt, at=round_, share=share: _leave(client, prompt, at, share)
            )
        mine, peer = sides
        name = f"a client leaves {tokens // 1000}k tokens' prefill: next one's turn, worst"
        return [
            compared(name, "ms", mine, peer, "ms", "≤ 50 ms", of=max, said="the worst"),
            compared(name.replace("worst", "median"), "ms", mine, peer, "ms", "", of=middle),
        ]


async def _leave(client: Client, prompt: str, round_: int, share: float) -> Measured:
    async with asyncio.timeout(300):
        alone = [(await client.complete(_short(round_, number), max_tokens=1)).first_s for number in range(3)]
        leaves = asyncio.create_task(client.complete(prompt, max_tokens=1))
        # Beyond the time that the prompt takes to be sent and split into tokens, and somewhere within a batch.
        await asyncio.sleep(0.5 + 0.3 * share)
        waits = asyncio.create_task(_first(client, _short(round_, 3)))
        await asyncio.sleep(_WAITS_S)
        if leaves.done() or waits.done():
            await asyncio.gather(leaves, waits)
            return {}  # the prefill was over before its client could leave
        left = perf_counter()
        leaves.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaves
        return {"ms": max(0.0, 1000 * (await waits - left - min(alone)))}


async def _first(client: Client, prompt: str) -> float:
    """When the only token came."""
    started = perf_counter()
    return started + (await client.complete(prompt, max_tokens=1)).first_s


def _short(round_: int, number: int) -> str:
    return f"{round_} {number}: a question of a few words"
