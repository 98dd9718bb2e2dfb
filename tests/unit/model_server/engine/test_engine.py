import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from bawn.contracts.errors import InternalError, Overloaded, SettingsError, Unavailable
from bawn.model_server.engine import runtime, scheduler
from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.engine import Engine
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import EngineFault, Runtime
from bawn.model_server.engine.sampling import Sampling
from support import tiny_gguf
from support.engines import Steps, answer, breaks_when, engine_on, same_up_to_a_near_tie, submit, text_of
from support.until import until

UNENDING = Sampling(temperature=0, ignore_end=True)
ONLY_ASCII = dict.fromkeys(range(ord("a"), ord("z") + 1), 100.0)
QUESTIONS = ["one", "a second, longer question", "three " * 20, "4"]


@pytest.fixture
def random_model(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "random.gguf")


@pytest.fixture
def alphabet_model(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "alphabet.gguf", successors=tiny_gguf.ALPHABET, n_ctx=16384)


@pytest.fixture
async def alphabet(alphabet_model: Path) -> AsyncGenerator[Engine]:
    async with engine_on(alphabet_model) as engine:
        yield engine


@pytest.mark.parametrize(("quick_s", "sizes"), [(3600.0, [1, 1, 32]), (0.0, [1, 1])])
async def test_a_model_that_is_quick_is_warmed_up_with_a_whole_batch(
    random_model: Path, monkeypatch: pytest.MonkeyPatch, quick_s: float, sizes: list[int]
) -> None:
    decoded: list[int] = []

    class Noting(Runtime):
        def decode(self, batch: Batch) -> bool:
            decoded.append(batch.size)
            return super().decode(batch)

    monkeypatch.setattr(runtime, "_QUICK_S", quick_s)
    async with engine_on(random_model, load=Noting, n_batch=32) as engine:
        assert decoded == sizes
        assert all(slot.state == "idle" for slot in engine.slots())


async def generated(engine: Engine, *prompts: str, max_tokens: int) -> list[list[int]]:
    generations = [submit(engine, prompt, sampling=UNENDING, max_tokens=max_tokens) for prompt in prompts]
    await asyncio.gather(*(text_of(generation) for generation in generations))
    return [g.sequence.tokens[g.progress.prompt_tokens :] for g in generations]


async def test_a_batch_gives_each_prompt_the_answer_it_gets_alone(random_model: Path) -> None:
    alone: list[list[int]] = []
    for question in QUESTIONS:
        async with engine_on(random_model) as engine:
            alone += await generated(engine, question, max_tokens=24)
    async with engine_on(random_model) as engine:
        together = await generated(engine, *QUESTIONS, max_tokens=24)
        assert engine.stats.steps < 4 * 24, "the prompts were not decoded together"
    for question, one, other in zip(QUESTIONS, alone, together, strict=True):
        assert same_up_to_a_near_tie(random_model, question, one, other)
    assert alone[0] != alone[1]


async def test_more_requests_than_slots_all_get_their_whole_answer(alphabet: Engine) -> None:
    answers = await asyncio.gather(*(answer(alphabet, f"{n}\n", max_tokens=n + 1) for n in range(30)))
    letters = "abcdefghijklmnopqrstuvwxyz" * 2
    assert list(answers) == [letters[: n + 1] for n in range(30)]


async def test_equal_seeds_give_equal_answers_and_others_do_not(random_model: Path) -> None:
    async with engine_on(random_model) as engine:
        seeds = [5, 5, 6]
        answers = [
            await answer(engine, "x", sampling=Sampling(temperature=1, seed=seed, ignore_end=True), max_tokens=24)
            for seed in seeds
        ]
    assert answers[0] == answers[1] != answers[2]


async def test_a_second_turn_feeds_only_what_is_new_and_answers_as_if_it_had_fed_all(random_model: Path) -> None:
    async with engine_on(random_model) as engine:
        first = submit(engine, "hello there", sampling=Sampling(temperature=0, logit_bias=ONLY_ASCII), max_tokens=8)
        longer = "hello there" + await text_of(first) + "and then"
        second = submit(engine, longer, sampling=UNENDING, max_tokens=16)
        await text_of(second)
        # The last generated token was never fed.
        assert second.progress.cached_tokens == len("hello there") + 8 - 1
        assert engine.stats.fed_tokens == len("hello there") + len(longer) - second.progress.cached_tokens
    async with engine_on(random_model) as engine:
        [cold] = await generated(engine, longer, max_tokens=16)
    assert same_up_to_a_near_tie(random_model, longer, cold, second.sequence.tokens[len(longer) :])


async def test_an_edited_prompt_keeps_what_comes_before_the_edit(random_model: Path) -> None:
    edited = "the quick black cat"
    async with engine_on(random_model) as engine:
        await generated(engine, "the quick brown fox", max_tokens=8)
        warm = submit(engine, edited, sampling=UNENDING, max_tokens=16)
        await text_of(warm)
        assert warm.progress.cached_tokens == len("the quick b")
    async with engine_on(random_model) as engine:
        [cold] = await generated(engine, edited, max_tokens=16)
    assert same_up_to_a_near_tie(random_model, edited, cold, warm.sequence.tokens[len(edited) :])


async def test_a_recurrent_model_keeps_what_only_grows_and_starts_over_after_an_edit(
    tmp_path: Path,
) -> None:
    model = tiny_gguf.write_recurrent(tmp_path / "recurrent.gguf")
    ascii_only = Sampling(temperature=0, logit_bias=ONLY_ASCII)
    async with engine_on(model) as engine:
        first = "hello" + await answer(engine, "hello", sampling=ascii_only, max_tokens=8)
        longer = submit(engine, first + " go on", sampling=UNENDING, max_tokens=12)
        await text_of(longer)
        assert longer.progress.cached_tokens == len(first) - 1
        edited = submit(engine, first + " no, stop", sampling=UNENDING, max_tokens=12)
        await text_of(edited)
        assert edited.progress.cached_tokens == 0
        assert engine.runtime.memory.recurrent
    for warm in (longer, edited):
        prompt = bytes(warm.sequence.request.tokens).decode()
        async with engine_on(model) as engine:
            [cold] = await generated(engine, prompt, max_tokens=12)
        assert same_up_to_a_near_tie(model, prompt, cold, warm.sequence.tokens[len(prompt) :])


async def test_a_cancelled_generation_is_in_no_further_step(alphabet_model: Path) -> None:
    steps = Steps()
    async with engine_on(alphabet_model, steps=steps) as engine:
        left, stays = submit(engine, "a\n"), submit(engine, "b\n", max_tokens=40)
        steps.allow(6)
        await until(lambda: engine.stats.steps == 6)
        await until(lambda: left.progress.generated_tokens >= 5)
        left.cancel()
        made = left.progress.generated_tokens
        steps.allow(10)
        await until(lambda: engine.stats.steps == 16)
        # One step was already waiting for leave when the client left.
        assert left.progress.generated_tokens <= made + 1
        assert [slot.state for slot in engine.slots()].count("idle") == 3
        assert engine.stats.cancelled == 1
        steps.free()
        assert len(await text_of(stays)) == 40


async def test_a_cancelled_prefill_stops_at_the_next_chunk(random_model: Path) -> None:
    steps = Steps()
    async with engine_on(random_model, steps=steps, n_batch=32) as engine:
        generation = submit(engine, "x" * 1000)
        steps.allow(3)
        await until(lambda: engine.stats.steps == 3)
        generation.cancel()
        steps.free()
        await until(lambda: all(slot.state == "idle" for slot in engine.slots()))
        assert engine.stats.fed_tokens <= 4 * 32
        assert engine.stats.generated_tokens == 0


async def test_a_long_prompt_does_not_stop_others_from_getting_tokens(random_model: Path) -> None:
    steps = Steps()
    async with engine_on(random_model, steps=steps, n_batch=32) as engine:
        talks = submit(engine, "hi", sampling=Sampling(temperature=0, ignore_end=True), max_tokens=500)
        steps.allow(2)
        await until(lambda: engine.stats.steps == 2)
        long = submit(engine, "x" * 1000)
        steps.allow(20)
        await until(lambda: engine.stats.steps == 22)
        await until(lambda: talks.progress.generated_tokens >= 21)
        assert long.progress.first_token is None


@pytest.mark.parametrize(("hungry_s", "fed"), [(0.0, True), (1e9, False)])
async def test_a_prompt_that_others_outrank_gets_a_share_when_it_has_waited(
    random_model: Path, monkeypatch: pytest.MonkeyPatch, hungry_s: float, *, fed: bool
) -> None:
    monkeypatch.setattr(scheduler, "HUNGRY_S", hungry_s)
    steps = Steps()
    async with engine_on(random_model, steps=steps, n_ctx=4096, n_batch=256, n_slots=2) as engine:
        title = submit(engine, "x" * 1000, kind="background")
        await until(lambda: engine.slots()[0].state == "prefill")
        question = submit(engine, "y" * 1000)
        steps.allow(1)
        await until(lambda: engine.slots()[1].state == "prefill")
        at_first = engine.slots()[0].held_tokens
        steps.allow(3)
        await until(lambda: engine.stats.steps == 4)
        assert (engine.slots()[0].held_tokens > at_first) is fed
        assert engine.slots()[1].held_tokens >= 3 * 192
        steps.free()
        await asyncio.gather(text_of(title), text_of(question))


async def test_a_full_queue_is_refused_with_a_time_to_come_back(alphabet_model: Path) -> None:
    steps = Steps()
    async with engine_on(alphabet_model, steps=steps, n_slots=1, queue_size=2) as engine:
        submit(engine, "1\n")
        await until(lambda: engine.slots()[0].state != "idle")
        waiting = submit(engine, "2\n")
        submit(engine, "3\n")
        with pytest.raises(Overloaded) as refused:
            submit(engine, "4\n")
        assert refused.value.retry_after is not None
        assert refused.value.retry_after > 0
        waiting.cancel()
        submit(engine, "5\n")  # the place is free at once
        with pytest.raises(Overloaded):
            submit(engine, "6\n")


async def test_sequences_that_outgrow_the_cache_together_still_end_with_their_own_answers(random_model: Path) -> None:
    prompts = ["p" * 60, "what comes next " * 4, "def f(x): return x " * 3]
    alone: list[list[int]] = []
    for prompt in prompts:
        async with engine_on(random_model, n_ctx=256) as engine:
            alone += await generated(engine, prompt, max_tokens=100)
    async with engine_on(random_model, n_ctx=256) as engine:
        together = await generated(engine, *prompts, max_tokens=100)
        assert engine.stats.preemptions > 0
    for prompt, one, other in zip(prompts, alone, together, strict=True):
        assert same_up_to_a_near_tie(random_model, prompt, one, other)


async def test_idle_slots_are_forgotten_when_the_cache_is_full(alphabet_model: Path) -> None:
    async with engine_on(alphabet_model, n_ctx=256) as engine:
        for letter in "bdfhj":
            assert len(await answer(engine, letter * 100 + "\n", max_tokens=20)) == 20


async def test_a_full_context_ends_the_answer_for_its_length(alphabet_model: Path) -> None:
    async with engine_on(alphabet_model, n_ctx=256) as engine:
        generation = submit(engine, "hello\n")
        assert len(await text_of(generation)) == 256 - len("hello\n")
        assert generation.finish == "length"


async def test_a_stop_string_over_token_borders_ends_the_answer_before_it(alphabet: Engine) -> None:
    generation = submit(alphabet, "x\n", stops=("fgh", "zzz"))
    assert await text_of(generation) == "abcde"
    assert generation.finish == "stop"


async def test_an_end_token_ends_the_answer_and_is_no_text(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", successors=tiny_gguf.says("gü€!".encode()))
    async with engine_on(model) as engine:
        generation = submit(engine, "x\n")
        pieces = [output.text async for output in generation.outputs() if output.text]
        assert "".join(pieces) == "gü€!"
        assert generation.finish == "stop"
        ignoring = Sampling(temperature=0, ignore_end=True)
        assert len((await answer(engine, "x\n", sampling=ignoring, max_tokens=20)).encode()) > len("gü€!".encode())


async def test_logit_bias_and_penalties_change_what_is_chosen(alphabet: Engine, random_model: Path) -> None:
    biased = Sampling(temperature=0, logit_bias={ord("q"): 1000.0})
    assert await answer(alphabet, "x\n", sampling=biased, max_tokens=5) == "qqqqq"
    async with engine_on(random_model) as engine:
        plain = Sampling(temperature=0, ignore_end=True)
        fined = Sampling(
            temperature=0, ignore_end=True, presence_penalty=2.0, frequency_penalty=2.0, repeat_penalty=1.5
        )
        texts = [await answer(engine, "x", sampling=sampling, max_tokens=200) for sampling in (plain, fined)]
        assert texts[0] != texts[1]


@pytest.mark.parametrize("only", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}], ids=["top_k", "top_p", "min_p"])
async def test_filters_leave_the_likeliest_token_alone(random_model: Path, only: dict[str, float]) -> None:
    async with engine_on(random_model) as engine:
        hot = Sampling(temperature=5.0, seed=3, ignore_end=True, top_k=0, top_p=1.0, min_p=0.0)
        filtered = msgspec.structs.replace(hot, **only)
        greedy, free, held = [
            await answer(engine, "x", sampling=sampling, max_tokens=30) for sampling in (UNENDING, hot, filtered)
        ]
        assert held == greedy
        assert free != greedy


async def test_an_engine_that_fails_ends_every_request_and_takes_no_more(alphabet_model: Path) -> None:
    broken = threading.Event()
    async with engine_on(alphabet_model, load=breaks_when(broken), n_slots=1) as engine:
        generations = [submit(engine, "a\n"), submit(engine, "b\n")]
        broken.set()
        for generation in generations:
            with pytest.raises(InternalError):
                await text_of(generation)
        assert isinstance(await engine.failed(), EngineFault)
        assert engine.state == "failed"
        with pytest.raises(InternalError):
            submit(engine, "c\n")


async def test_stopping_ends_what_is_under_way(alphabet_model: Path) -> None:
    steps = Steps(allowed=3)
    async with engine_on(alphabet_model, steps=steps) as engine:
        generation = submit(engine, "a\n")
        await until(lambda: engine.stats.steps == 3)
        stopping = asyncio.create_task(engine.stop())
        steps.free()
        await stopping
        with pytest.raises(Unavailable):
            await text_of(generation)


async def test_an_idle_engine_still_goes_round(alphabet: Engine) -> None:
    await asyncio.to_thread(lambda: None)
    before = alphabet._tick
    await until(lambda: alphabet._tick > before)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"PK\x03\x04 not a model", "is not a GGUF file"), (b"GGUF\x03\x00\x00\x00 broken", "can't load this model")],
)
async def test_a_file_that_is_no_model_is_one_clear_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    engine = Engine(EngineOptions(model=path))
    engine.start()
    with pytest.raises(SettingsError, match=says):
        await engine.ready()
    await engine.stop()


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    engine = Engine(EngineOptions(model=tmp_path / "none.gguf"))
    engine.start()
    with pytest.raises(SettingsError, match=r"none\.gguf: the model can't be read: No such file"):
        await engine.ready()
    await engine.stop()
