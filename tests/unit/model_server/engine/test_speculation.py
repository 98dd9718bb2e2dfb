"""Guessing what comes next, and judging whether that pays."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.model_server.engine.lookup import Lookup
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.speculation import LENGTHS, Chance, Costs, draft_length
from support import tiny_gguf
from support.engines import engine_on, submit, text_of


def test_a_draft_is_what_followed_the_same_tokens_before() -> None:
    assert Lookup().draft([1, 2, 3, 4, 5, 9, 1, 2, 3], 4) == [4, 5, 9, 1]
    assert Lookup().draft([1, 2, 3, 4, 7, 8, 9], 4) == []
    assert Lookup().draft([1, 2], 4) == []


def test_a_draft_goes_on_behind_a_change_of_one_token() -> None:
    source = list(range(10, 40))
    lookup = Lookup()
    tokens = [*source, 99, *source[:4]]
    assert lookup.draft(tokens, 3) == source[4:7]
    lookup.settle(1)  # then another token came than the source has
    tokens += [source[4], 77]
    lookup.draft(tokens, 3)
    # The source's next token comes after all: no run of three is the same yet.
    tokens += [source[6]]
    lookup.settle(0)
    assert lookup.draft(tokens, 3) in (source[7:10], [])


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 9))
def test_a_draft_stands_in_the_text(tokens: list[int], most: int) -> None:
    draft = Lookup().draft(tokens, most)
    assert len(draft) <= most
    joined, wanted = "".join(map(str, tokens)), "".join(map(str, draft))
    assert wanted in joined


def test_costs_are_interpolated_and_follow_what_is_seen() -> None:
    costs = Costs({1: 0.010, 4: 0.016, 16: 0.040})
    assert costs.of(1) == pytest.approx(0.010)
    assert costs.of(2) == pytest.approx(0.012)
    assert costs.of(10) == pytest.approx(0.028)
    assert costs.of(32) == pytest.approx(0.072)
    for _ in range(100):
        costs.saw(1, 0.020)
    assert costs.of(1) == pytest.approx(0.020, rel=0.05)


def test_drafts_are_long_where_checking_is_cheap_and_none_where_it_costs_as_much_as_making() -> None:
    cheap = Costs({1: 0.040, 32: 0.042})  # a GPU that waits for its memory
    dear = Costs({1: 0.010, 32: 0.320})  # a core that computes all it can
    sure, doubtful = Chance(0.95), Chance(0.3)
    assert draft_length(cheap, sure, 0) == LENGTHS[-1]
    assert 0 < draft_length(cheap, doubtful, 0) < LENGTHS[-1]
    assert draft_length(dear, sure, 0) == 0
    assert draft_length(Costs({}), sure, 0) == 0


def test_drafts_that_are_wrong_end_and_are_tried_again_much_later() -> None:
    costs = Costs({1: 0.010, 4: 0.020, 16: 0.050})
    chance, tries = Chance(), 0
    while draft_length(costs, chance, 0):
        chance = chance.after(4, 0)
        tries += 1
    assert tries < 8
    steps = 0
    while not draft_length(costs, chance, 0):
        chance = chance.without()
        steps += 1
    assert steps > 20


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_what_is_guessed_changes_nothing_but_the_number_of_steps(tmp_path: Path, temperature: float) -> None:
    """A model that goes round the alphabet: the second round is all drafts. With a seed, sampling agrees, too."""
    model = tiny_gguf.write(tmp_path / "alphabet.gguf", successors=tiny_gguf.ALPHABET)
    sampling = Sampling(temperature=temperature, seed=3)
    texts: list[str] = []
    steps: list[int] = []
    for speculation in ("off", "auto"):
        async with engine_on(model, speculation=speculation) as engine:
            assert engine.scheduler is not None
            engine.scheduler.costs = Costs({1: 0.01, 32: 0.01})
            generation = submit(engine, "x\n", sampling=sampling, max_tokens=120, speculative=speculation == "auto")
            texts.append(await text_of(generation))
            assert generation.progress.generated_tokens == 120
            steps.append(engine.stats.steps)
            slot = engine.scheduler.slots[0]
            assert slot.held == generation.sequence.tokens[: len(slot.held)]
            assert engine.stats.accepted_tokens <= engine.stats.drafted_tokens
    assert texts[0] == texts[1]
    assert steps[1] < steps[0] / 3


async def test_a_stop_inside_a_draft_ends_the_answer_there(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "alphabet.gguf", successors=tiny_gguf.ALPHABET)
    async with engine_on(model, speculation="auto") as engine:
        assert engine.scheduler is not None
        engine.scheduler.costs = Costs({1: 0.01, 32: 0.01})
        prompt = "abcdefghijklmnopqrstuvwxyz" * 2 + "abc"
        assert await text_of(submit(engine, prompt, stops=("hij",))) == "defg"
        assert await text_of(submit(engine, prompt, max_tokens=3)) == "def"
        # What was guessed and not wanted is not taken for the beginning of another prompt.
        assert await text_of(submit(engine, prompt + "defz", max_tokens=2)) == "ab"
