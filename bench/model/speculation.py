"""Prompt lookup: an answer that repeats its prompt, and answers that don't, with speculation and without."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.client import Answer, Client
from bench.model import copying
from bench.model.plan import Plan
from bench.report import Row, row
from bench.sides import Measured, Side, compared, in_turn, side

_NEAR: Final = 0.7
"""So much do logits of a quantised model differ between batches of other shapes: a smaller gap is a near-tie."""


class _Task(msgspec.Struct, frozen=True):
    name: str
    prompt: str
    tokens: int
    bar: str


async def rows(plan: Plan) -> list[Row]:
    """Tokens a second after the first, on an edit, on a story and on a list; and whether the answers are the same."""
    lines = plan.size(copying.LINES, 50)
    said = plan.size(256, 32)
    edit = _Task(
        f"rewriting a file of {copying.LINES} lines with one change",
        copying.file().prompt,
        lines * copying.LINE_TOKENS,
        "≥ 1.1 ×",
    )
    talk = [
        _Task("a story, which repeats nothing on purpose", _chat("Tell a story about a harbour."), said, "≥ 0.97 ×"),
        _Task("a list, which repeats its form", _chat("Name thirty trees and their colours."), said, "≥ 0.97 ×"),
    ]
    found, apart, notes = [], 0, [f"near: less than {_NEAR} between the two likeliest tokens' logits"]
    for model, tasks in ((copying.model(), [edit]), (plan.model, talk)):
        async with _with_and_without(plan, model) as (auto, off):
            answers = {task.name: await _race(auto, off, task, plan.size(3, 1)) for task in tasks}
            found += [compared(task.name, task.name, auto, off, "tokens/s", task.bar) for task in tasks]
            for task in tasks:
                apart += await _differ(off, task, answers[task.name])
            notes += [note for one in (auto, off) for note in one.notes if note not in notes]
            works = auto.works and off.works
    name, same = "answers that differ by more than a near-tie", apart if works else None
    return [*found, row(name, same, "bawn, speculation off", None, "", bar="= 0", note="; ".join(notes))]


def _chat(text: str) -> str:
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


@asynccontextmanager
async def _with_and_without(plan: Plan, model: Path) -> AsyncGenerator[tuple[Side, Side]]:
    async with AsyncExitStack() as stack:
        auto = plan.serving(model, n_ctx=8192, n_slots=1, speculation="auto")
        off = plan.serving(model, n_ctx=8192, n_slots=1, speculation="off")
        yield (
            await stack.enter_async_context(side("bawn", auto)),
            await stack.enter_async_context(side("bawn", off, name="bawn, speculation off")),
        )


async def _race(auto: Side, off: Side, task: _Task, rounds: int) -> Mapping[Client, Answer]:
    """The last answers; their rates are added to the sides."""
    answers: dict[Client, Answer] = {}

    async def one(client: Client) -> Measured:
        answers[client] = await client.complete(task.prompt, max_tokens=task.tokens, ignore_eos=True)
        return {task.name: answers[client].rate}

    for round_ in range(rounds):
        await in_turn((auto, off), round_, one)
    return answers


async def _differ(off: Side, task: _Task, answers: Mapping[Client, Answer]) -> bool:
    """Whether the answers part anywhere but at a near-tie, by the probabilities that the plain server tells."""
    texts = {answer.text for answer in answers.values()}
    if off.client is None or len(texts) < 2:
        return False
    plain = answers[off.client].text
    (mine,) = texts - {plain}
    pairs = zip(mine, plain, strict=False)
    parts = next((at for at, (x, y) in enumerate(pairs) if x != y), min(len(mine), len(plain)))
    body: dict[str, Any] = {"prompt": task.prompt, "max_tokens": task.tokens, "ignore_eos": True, "logprobs": 2}
    told = (await off.client.whole("/v1/completions", body))["choices"][0]["logprobs"]
    at = max(number for number, offset in enumerate(told["text_offset"]) if offset <= parts)
    likeliest = sorted(told["top_logprobs"][at].values(), reverse=True)
    return len(likeliest) < 2 or likeliest[0] - likeliest[1] >= _NEAR
