"""Whatever is taken over from earlier prompts, an answer is the one that a fresh model gives."""

import asyncio
import ctypes
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest

from bawn.model_server.engine.engine import Engine
from bawn.model_server.engine.generation import Generation
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.sequence import GenerationRequest
from support import tiny_gguf
from support.engines import engine_on, same_up_to_a_near_tie, text_of

UNENDING = Sampling(temperature=0, ignore_end=True)
SYSTEM = "You are a system prompt that everybody shares, and it is a long one: " + "be brief and be right. " * 8
WRITE: dict[str, Callable[[Path], Path]] = {
    "plain": tiny_gguf.write,
    "hybrid": tiny_gguf.write_hybrid,
    "recurrent": tiny_gguf.write_recurrent,
    "windowed": tiny_gguf.write_windowed,
}


@pytest.fixture(params=WRITE)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITE[request.param](tmp_path / f"{request.param}.gguf")


def ask(engine: Engine, messages: list[str], *, max_tokens: int = 6, **request: Any) -> Generation:
    """A prompt of messages, whose borders are told."""
    tokens: list[int] = []
    borders: list[int] = []
    for message in messages:
        borders.append(len(tokens))
        tokens += engine.runtime.vocabulary.tokens(message + "\n", special=False, begin=False)
    return engine.submit(
        GenerationRequest(
            tokens=tokens, borders=(*borders[1:], len(tokens) - 1), sampling=UNENDING, max_tokens=max_tokens, **request
        )
    )


def answer(generation: Generation) -> list[int]:
    return generation.sequence.tokens[generation.progress.prompt_tokens :]


async def check_books(engine: Engine) -> None:
    """What the slots say they hold is what llama.cpp holds."""
    scheduler = engine.scheduler
    assert scheduler is not None
    memory = llama.llama_get_memory(engine.runtime.context)
    for slot in scheduler.slots:
        assert llama.llama_memory_seq_pos_max(memory, slot.number) == len(slot.held) - 1
        assert 0 <= slot.shared <= len(slot.held)
        assert all(one.length <= len(slot.held) for one in slot.checkpoints)
    assert scheduler.cache.used <= engine.runtime.n_cells
    held = sum(taken_cells(engine, slot.number) for slot in scheduler.slots)
    assert held == sum(len(slot.held) for slot in scheduler.slots)
    assert scheduler.cache.tree.bytes <= scheduler.cache.tree.limit
    assert scheduler.cache.tree.bytes == sum(one.bytes for one in scheduler.cache.tree.segments())


def taken_cells(engine: Engine, sequence: int) -> int:
    """Cells that llama.cpp has for a sequence: the number that its saved state begins with."""
    if engine.runtime.memory.by_checkpoints:
        scheduler = engine.scheduler
        assert scheduler is not None
        return len(scheduler.slots[sequence].held)
    size = llama.llama_state_seq_get_size(engine.runtime.context, sequence)
    data = (ctypes.c_uint8 * size)()
    llama.llama_state_seq_get_data(engine.runtime.context, data, size, sequence)
    return int.from_bytes(bytes(data[12:16]), "little")


async def expected(model: Path, messages: list[str], max_tokens: int = 6) -> list[int]:
    async with engine_on(model, n_slots=1) as engine:
        generation = ask(engine, messages, max_tokens=max_tokens)
        await text_of(generation)
        return answer(generation)


@pytest.mark.parametrize("seed", range(4))
async def test_any_course_of_sessions_gets_the_answers_of_a_fresh_model(model: Path, seed: int) -> None:
    """New turns, edits, regenerations, and sessions side by side, on too few slots, cells and bytes."""
    dice = random.Random(seed)
    sessions: list[list[str]] = [[SYSTEM, f"session {number} asks something " * 3] for number in range(5)]
    asked: list[tuple[list[str], Generation]] = []
    async with engine_on(model, n_slots=2, n_ctx=2048, n_batch=64, cache_mib=dice.choice([0, 1, 2, 8])) as engine:
        for _ in range(24):
            running: list[Generation] = []
            for messages in dice.sample(sessions, dice.choice([1, 1, 2, 3])):
                match dice.choice(["turn", "turn", "edit", "again", "short"]):
                    case "turn":
                        messages += [f"an answer {len(messages)}", f"and then {dice.random()} " * dice.choice([1, 4])]
                    case "edit":
                        messages[dice.randrange(1, len(messages))] = f"edited {dice.random()}"
                    case "short":
                        del messages[max(2, len(messages) - 4) :]
                    case _:
                        pass
                while sum(map(len, messages)) > 900:
                    del messages[2]
                generation = ask(engine, list(messages), max_tokens=dice.choice([1, 6]))
                asked.append((list(messages), generation))
                running.append(generation)
            await asyncio.gather(*(text_of(one) for one in running))
            await check_books(engine)
        assert engine.stats.cached_tokens > 0
    for messages, generation in asked:
        cold = await expected(model, messages, len(answer(generation)))
        prompt = bytes(generation.sequence.request.tokens).decode()
        assert same_up_to_a_near_tie(model, prompt, cold, answer(generation)), messages


async def test_a_second_session_does_not_feed_the_system_prompt_again(model: Path) -> None:
    async with engine_on(model, n_slots=3, cache_mib=8) as engine:
        for name in ("first", "second", "third"):
            generation = ask(engine, [SYSTEM, f"the {name} session asks something"])
            await text_of(generation)
            shared = len(SYSTEM) + 1 if name != "first" else 0
            # A model that can be cut anywhere shares the beginning of the message, too.
            assert shared <= generation.progress.cached_tokens <= shared + len("the ")


async def test_checkpoints_of_many_slots_keep_within_the_limit(tmp_path: Path) -> None:
    """Four slots with system prompts of their own would keep eight, of some 150 MB each in a large model."""
    model = tiny_gguf.write_hybrid(tmp_path / "m.gguf")
    sessions = [[f"{number} {SYSTEM}", f"session {number} asks"] for number in range(4)]
    async with engine_on(model, n_slots=4, cache_mib=8) as engine:
        scheduler = engine.scheduler
        assert scheduler is not None
        state = len(engine.runtime.memory.checkpoint(0))
        scheduler.cache.tree.limit = 3 * state
        for turn in range(3):
            for messages in sessions:
                messages += [f"answer {turn}", f"and then {turn}"]
                generation = ask(engine, messages)
                await text_of(generation)
                kept = {id(one.state) for slot in scheduler.slots for one in slot.checkpoints}
                assert len(kept) <= 3
                cold = await expected(model, messages)
                prompt = bytes(generation.sequence.request.tokens).decode()
                assert same_up_to_a_near_tie(model, prompt, cold, answer(generation))


async def test_sessions_in_turn_on_one_slot_feed_only_what_is_new(model: Path) -> None:
    async with engine_on(model, n_slots=1, cache_mib=32) as engine:
        for turn in range(3):
            for number in range(4):
                told = [f"session {number} " * 12 + f"message {at} " * 12 for at in range(2 * turn + 1)]
                generation = ask(engine, told)
                await text_of(generation)
                if turn:
                    before = sum(len(message) + 1 for message in told[:-2])
                    assert generation.progress.cached_tokens >= before - 1
        assert engine.stats.loaded_tokens > 0


async def test_an_edited_or_regenerated_prompt_feeds_only_what_is_new(model: Path) -> None:
    told = [SYSTEM, *(f"message {number} " * 9 for number in range(6))]
    async with engine_on(model, n_slots=1, cache_mib=8) as engine:
        await text_of(ask(engine, told))
        again = ask(engine, told)
        await text_of(again)
        assert again.progress.cached_tokens >= again.progress.prompt_tokens - 2
        told[4] = "edited"
        edited = ask(engine, told)
        await text_of(edited)
        border = sum(len(message) + 1 for message in told[:4])
        assert edited.progress.cached_tokens >= border - 64


async def test_host_memory_is_kept_within_its_limit_and_the_beginnings_stay(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", n_ctx=4096)
    async with engine_on(model, n_slots=1, n_ctx=4096, cache_mib=1) as engine:
        # Together three times of what the host may keep: 1 KiB a token.
        sessions = [[f"session {number} " * 80] for number in range(4)]
        for _ in range(3):
            for session in sessions:
                await text_of(ask(engine, session))
                await check_books(engine)
        before = engine.stats.fed_tokens
        for session in sessions:
            await text_of(ask(engine, session))
        fed, whole = engine.stats.fed_tokens - before, sum(len(session[0]) for session in sessions)
        # Giving up whole sessions, longest unused first, would feed everything again.
        assert fed < 0.8 * whole
