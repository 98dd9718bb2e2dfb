"""Somebody types while two long prompts are fed: how long the first token of a completion takes."""

import asyncio
import itertools
from functools import partial

from bench.client import Client
from bench.model.plan import Plan, measure
from bench.model.trace import code
from bench.report import Row, middle, percentile
from bench.sides import Measured, both, compared, in_turn

_PAUSE_S = 0.15
"""Between a completion and the next one's request."""
_BLOCK_S = 60.0
"""So long is measured at a time; a completion that has not come by then counts as if it came after so long."""


async def rows(plan: Plan) -> list[Row]:
    """Four slots; two clients send long prompts one after another, a third asks for completions."""
    tokens, blocks, completions = plan.size(8000, 2500), plan.size(3, 1), plan.size(30, 6)
    serving = plan.serving(plan.generated("fim"), n_ctx=plan.size(49152, 16384), n_slots=4)
    async with both(serving) as sides:
        # Cut from one long text each, since making it takes longer than feeding it.
        texts = [code(2000 + number, 8 * tokens, measure()) for number in range(2)]
        for block in range(blocks):
            await in_turn(sides, block, lambda client, block=block: _type(client, texts, block, tokens, completions))
        mine, peer = sides
        name = f"autocomplete beside two prefills of {tokens / 1000:g}k tokens: first token"
        p95 = partial(percentile, share=0.95)
        return [
            compared(f"{name}, p95", "ms", mine, peer, "ms", "≤ 0.3 ×", of=p95, said="p95"),
            compared(f"{name}, median", "ms", mine, peer, "ms", "", of=middle),
            compared("the prefills beside it", "fed", mine, peer, "tokens/s", ""),
        ]


async def _type(client: Client, texts: list[str], block: int, tokens: int, completions: int) -> Measured:
    loop = asyncio.get_running_loop()
    fed = 0

    async def feed(number: int) -> None:
        nonlocal fed
        text = texts[number]
        for turn in itertools.count():
            start = (turn * len(text) // 9 + 997 * block) % (len(text) * 7 // 8)
            prompt = f"# {block} {number} {turn}\n{text[start : start + len(text) // 8]}"
            fed += (await client.complete(prompt, max_tokens=1)).fed_tokens

    firsts: list[float] = []
    started = loop.time()
    feeding = [asyncio.create_task(feed(number)) for number in range(2)]
    try:
        await asyncio.sleep(0.5)
        for number in range(completions):
            if loop.time() - started > _BLOCK_S or any(task.done() for task in feeding):
                break
            text = texts[number % 2]
            at = (number * 7919 + block * 104729) % (len(text) - 2000)
            try:
                async with asyncio.timeout(_BLOCK_S):
                    answer = await client.fill(text[at : at + 800], text[at + 810 : at + 1100], max_tokens=8)
            except TimeoutError:
                firsts.append(1000 * _BLOCK_S)
                break
            firsts.append(1000 * answer.first_s)
            await asyncio.sleep(_PAUSE_S)
    finally:
        for task in feeding:
            task.cancel()
        ended = await asyncio.gather(*feeding, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
    return {"ms": firsts, "fed": fed / (loop.time() - started)}
