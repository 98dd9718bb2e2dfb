"""Many requests, many of which are given up: memory that does not grow, slots that are not lost."""

import asyncio
import contextlib
import random

import psutil

from bench.client import Client
from bench.model.plan import Plan, measure
from bench.model.trace import code
from bench.report import Row, row
from bench.sides import Measured, both

_SLOTS = 4
_AT_ONCE = 8
_IDLE_S = 20.0
_CACHE_MIB = 16
"""Small, so that it is full before the counting begins."""


async def rows(plan: Plan) -> list[Row]:
    """Resident memory after so many requests, beside what it was before them and after a warm-up."""
    requests, warm_up = plan.size(1000, 40), plan.size(300, 20)
    texts = [code(3000 + number, 1000, measure()) for number in range(16)]
    serving = plan.serving(plan.generated("plain"), n_ctx=16384, n_slots=_SLOTS, cache_mib=_CACHE_MIB)
    async with both(serving) as sides:
        for one in sides:
            await one.measure(lambda client: _endure(client, plan.random("endurance"), texts, warm_up, requests))
        mine, peer = sides
        notes = "; ".join([*mine.notes, *peer.notes])

        def of(key: str) -> list[float | None]:
            return [one.samples[key][0] if one.works and one.samples[key] else None for one in (mine, peer)]

        grown, lost, left = of("grown"), of("lost"), of("left")
        what = f"{requests:,} requests, many given up"
        said = f"{left[0]:.0f} were given up" if left[0] is not None else ""
        size = f"from {mine.samples['before'][0]:.0f} MiB" if mine.samples["before"] else ""
        note = "; ".join(text for text in (size, said, notes) if text)
        return [
            row(f"{what}: resident memory grows by", grown[0], peer.name, grown[1], "%", bar="< 2 %", note=note),
            row(f"{what}: slots lost", lost[0], peer.name, lost[1], "slots", bar="= 0 slots", note=notes),
        ]


async def _endure(client: Client, rng: random.Random, texts: list[str], warm_up: int, requests: int) -> Measured:
    await _send(client, rng, texts, warm_up)
    await _idle(client)
    before = _resident(client)
    left = await _send(client, rng, texts, requests)
    lost = _SLOTS - min(_SLOTS, await _idle(client))
    after = _resident(client)
    # Slots that say that they are idle must work, too.
    async with asyncio.timeout(60):
        await asyncio.gather(*(client.complete(f"still there, {number}?", max_tokens=4) for number in range(_SLOTS)))
    return {"grown": 100 * (after / before - 1), "lost": lost, "left": left, "before": before}


async def _send(client: Client, rng: random.Random, texts: list[str], requests: int) -> int:
    """Send them, some at once; returns how many were given up."""
    plans = iter([(rng.choice(texts), rng.random(), rng.randrange(1, 48), rng.random()) for _ in range(requests)])
    left = 0

    async def work() -> None:
        nonlocal left
        for text, share, tokens, patience in plans:
            asked = client.complete(text[: 100 + int(share**3 * len(text))], max_tokens=tokens)
            try:
                # Two in five leave: before the first token, or while it streams.
                async with asyncio.timeout(patience if patience < 0.4 else 120):
                    await asked
            except TimeoutError:
                if patience >= 0.4:
                    raise
                left += 1

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(_AT_ONCE)]
    del workers
    return left


async def _idle(client: Client) -> int:
    """Idle slots, once all are, or after a while."""
    idle = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_IDLE_S):
            while (idle := await client.idle_slots()) < _SLOTS:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.1)
    return idle


def _resident(client: Client) -> float:
    return psutil.Process(client.server.process.pid).memory_info().rss / 2**20
