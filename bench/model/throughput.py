"""Streams side by side: tokens a second of all together, prompts included."""

import asyncio
from time import perf_counter
from typing import Any

from bench.client import Client
from bench.model.plan import Plan, tokenizer
from bench.report import Row
from bench.sides import Measured, both, compared, in_turn

TOKENS = 128
ROUNDS = {1: 9, 4: 5, 8: 3, 16: 3}
"""By streams: a short measurement needs more of them, since a machine's speed drifts by a tenth."""
_TOPICS = (
    "a harbour in winter", "how bread is made", "the first day at a new job", "a train that is late", "old maps",
    "why the sky is blue", "a garden on a roof", "repairing a bicycle", "the history of glass", "a chess game",
    "what bees do at night", "a lighthouse keeper", "learning to swim", "the sound of rain", "a lost letter", "tea",
)  # fmt: skip


async def rows(plan: Plan) -> list[Row]:
    """A row for each number of streams and peer."""
    tokens = plan.size(TOKENS, 16)
    # Speculation is another matter, and has its own rows: here each token is computed.
    serving = plan.serving(plan.model, n_ctx=8192, n_slots=max(ROUNDS), speculation="off")
    async with both(serving, "llama.cpp", "llama-cpp-python") as sides:
        await in_turn(sides, 0, lambda client: _together(client, plan, 2, tokens))  # warms all up
        for streams, rounds in ROUNDS.items():
            for round_ in range(plan.size(rounds, 1)):
                await in_turn(sides, round_, lambda client, streams=streams: _together(client, plan, streams, tokens))
        mine, llama_cpp, llama_cpp_python = sides
        found: list[Row] = []
        for streams in ROUNDS:
            name = f"{streams} stream{'s' if streams > 1 else ''} of {tokens} tokens"
            found.append(compared(name, f"{streams}", mine, llama_cpp, "tokens/s", "≥ 1 ×"))
            bar = "≥ 2 ×" if streams >= 4 else ""
            name += ", against llama-cpp-python"
            found.append(compared(name, f"{streams}", mine, llama_cpp_python, "tokens/s", bar))
        return found


async def _together(client: Client, plan: Plan, streams: int, tokens: int) -> Measured:
    # llama-cpp-python knows no `ignore_eos`; there the end tokens are made as good as impossible.
    more: dict[str, Any] = {"ignore_eos": True}
    if client.server.dialect == "llama-cpp-python":
        more = {"logit_bias": {str(token): -100 for token in tokenizer(plan.model).end_tokens}}

    async def one(topic: str) -> int:
        told = [{"role": "user", "content": f"Tell a long story about {topic}, with all details."}]
        return (await client.chat(told, max_tokens=tokens, **more)).tokens

    async with asyncio.timeout(600):
        started = perf_counter()
        made = await asyncio.gather(*(one(topic) for topic in _TOPICS[:streams]))
        return {f"{streams}": sum(made) / (perf_counter() - started)}
