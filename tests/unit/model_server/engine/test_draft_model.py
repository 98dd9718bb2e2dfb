"""A small model that guesses what a large one says: answers stay, steps get fewer, and what can't work is refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine import draft_model
from bawn.model_server.engine.engine import Engine
from bawn.model_server.engine.lookup import Lookup
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.speculation import LENGTHS, Chance, Costs, draft_length
from support import tiny_gguf
from support.engines import engine_on, submit, text_of

UNENDING = Sampling(temperature=0, ignore_end=True)
PROMPT = "what comes after this? "


class FreeToCheck(Costs):
    """As on a GPU that waits for its memory: a step takes a second, however many tokens are in it."""

    def __init__(self) -> None:
        super().__init__({1: 1.0, 32: 1.0})

    def saw(self, size: int, seconds: float) -> None:
        """The steps here are those of another machine."""


@pytest.fixture(autouse=True)
def no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt gives no hints, so that every draft is the model's."""
    monkeypatch.setattr(Lookup, "draft", lambda *_: [])


async def said(
    model: Path, *, sampling: Sampling = UNENDING, max_tokens: int = 60, **options: Any
) -> tuple[str, Engine]:
    """The answer, and the engine that gave it."""
    async with engine_on(model, **options) as engine:
        assert engine.scheduler is not None
        if options.get("draft_model"):
            engine.scheduler.costs = FreeToCheck()
        return await text_of(submit(engine, PROMPT, sampling=sampling, max_tokens=max_tokens)), engine


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_a_model_that_drafts_for_itself_changes_nothing_but_the_number_of_steps(
    tmp_path: Path, temperature: float
) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf")
    sampling = Sampling(temperature=temperature, seed=3, ignore_end=True)
    plain, alone = await said(model, sampling=sampling)
    drafted, helped = await said(model, sampling=sampling, draft_model=model, speculation="auto")
    assert drafted == plain
    if temperature == 0:
        assert helped.stats.accepted_tokens > 0.9 * helped.stats.drafted_tokens
        assert helped.stats.steps < alone.stats.steps / 4


async def test_a_draft_model_that_is_wrong_is_not_asked_for_long(tmp_path: Path) -> None:
    model, other = (tiny_gguf.write(tmp_path / "m.gguf"), tiny_gguf.write(tmp_path / "other.gguf", seed=99))
    plain, _ = await said(model, max_tokens=200)
    drafted, engine = await said(model, max_tokens=200, draft_model=other, speculation="auto")
    assert drafted == plain
    assert 0 < engine.stats.drafted_tokens < 200 * 2


async def test_answers_side_by_side_are_drafted_in_one_batch(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf")
    prompts = [f"{number} asks {'for more ' * number}" for number in range(6)]
    answers: list[list[str]] = []
    for options in ({}, {"draft_model": model, "speculation": "auto"}):
        async with engine_on(model, n_slots=3, n_ctx=2048, **options) as engine:
            assert engine.scheduler is not None
            engine.scheduler.costs = FreeToCheck() if options else Costs({})
            asked = [submit(engine, prompt, max_tokens=40, sampling=UNENDING) for prompt in prompts]
            answers.append(list(await asyncio.gather(*map(text_of, asked))))
            steps = engine.stats.steps
    assert answers[0] == answers[1]
    assert steps < 60


async def test_a_prompt_longer_than_its_window_is_fed_bit_by_bit_and_forgotten_bit_by_bit(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", successors=tiny_gguf.ALPHABET, n_ctx=8192)
    async with engine_on(model, n_ctx=8192, n_slots=1, draft_model=model, speculation="auto") as engine:
        assert engine.scheduler is not None
        engine.scheduler.costs = FreeToCheck()
        length = 2 * draft_model.WINDOW + 100
        text = await text_of(submit(engine, "a" * length, max_tokens=3000))
        assert text == ("bcdefghijklmnopqrstuvwxyza" * 200)[:3000]
        # While it was fed, and each time that the window moved on, tokens came one by one.
        assert engine.stats.accepted_tokens > 2500
        assert engine.stats.steps < 500


def test_the_window_moves_by_halves_and_always_shows_half_at_least() -> None:
    first_seen = draft_model._first_seen  # pyright: ignore[reportPrivateUsage]
    starts = [first_seen(length) for length in range(1, 4 * draft_model.WINDOW)]
    assert sorted(set(starts)) == [number * draft_model.WINDOW // 2 for number in range(7)]
    shown = [length - start for length, start in enumerate(starts, 1)]
    assert max(shown) == draft_model.WINDOW
    assert min(shown[draft_model.WINDOW :]) > draft_model.WINDOW // 2


def test_what_drafting_costs_counts() -> None:
    costs = Costs({1: 0.040, 32: 0.042})
    sure = Chance(0.95)
    assert draft_length(costs, sure, 0, token_s=0.001) == LENGTHS[-1]
    assert 0 < draft_length(costs, sure, 0, token_s=0.015) < LENGTHS[-1]
    assert draft_length(costs, sure, 0, token_s=0.040) == 0
    assert draft_length(costs, sure, 0, token_s=float("inf")) == 0


@pytest.mark.parametrize(
    ("main", "draft", "why"),
    [
        ("plain", "hybrid", "has recurrent layers"),
        ("hybrid", "plain", "the model has recurrent layers"),
        ("plain", "fim", "another vocabulary than the model: token "),
        ("plain", "missing", "missing.gguf"),
    ],
)
async def test_what_can_not_draft_is_refused_with_the_reason(tmp_path: Path, main: str, draft: str, why: str) -> None:
    paths = {
        "plain": tiny_gguf.write(tmp_path / "plain.gguf"),
        "hybrid": tiny_gguf.write_hybrid(tmp_path / "hybrid.gguf"),
        "fim": tiny_gguf.write(tmp_path / "fim.gguf", fim=True),
        "missing": tmp_path / "missing.gguf",
    }
    options = EngineOptions(model=paths[main], draft_model=paths[draft], threads=1)
    engine = Engine(options)
    engine.start()
    try:
        with pytest.raises(SettingsError, match=why):
            await engine.ready()
    finally:
        await engine.stop()


async def test_with_speculation_off_it_is_not_even_loaded(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf")
    plain, _ = await said(model)
    same, engine = await said(model, draft_model=tmp_path / "missing.gguf", speculation="off")
    assert same == plain
    assert engine.stats.drafted_tokens == 0
