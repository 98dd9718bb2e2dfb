"""Sessions over HTTP: what is not fed again, what broke a prefix, and what becomes of a prompt whose client leaves."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import tiny_gguf
from support.engines import server_on
from support.until import until

CHAT = "/v1/chat/completions"
SYSTEM = {"role": "system", "content": "You are brief. " * 20}


def turn(*told: str, system: dict[str, str] = SYSTEM) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(told)]
    return {"model": "tiny", "temperature": 0, "max_tokens": 4, "messages": [system, *messages]}


async def usage(client: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    response = await client.post(CHAT, json=body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["usage"]


async def fed(client: httpx.AsyncClient, body: dict[str, Any]) -> int:
    of = await usage(client, body)
    return of["prompt_tokens"] - of["prompt_tokens_details"]["cached_tokens"]


@pytest.mark.parametrize("write", [tiny_gguf.write, tiny_gguf.write_hybrid], ids=["plain", "hybrid"])
async def test_the_next_turn_feeds_what_is_new_whatever_became_of_the_answer(tmp_path: Path, write: Any) -> None:
    """Templates write an answer otherwise than the model made it, and clients edit: a border before it is enough."""
    async with server_on(write(tmp_path / "m.gguf"), n_ctx=2048, n_slots=2) as (client, _):
        long, other = "a question with some words " * 8, "another session's question " * 8
        await fed(client, turn(long))
        assert await fed(client, turn(other)) < len(other) + 100
        assert await fed(client, turn(long, "not what was answered", "go on")) < 100
        assert await fed(client, turn(long, "edited", "go on")) < 100
        assert await fed(client, turn(other, "x", "and now? " * 9)) < 200


def broken_messages(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Where prefixes broke, as the log has it."""
    told = [getattr(record, "fields", {}).get("broken_message") for record in caplog.records]
    return [index for index in told if index is not None]


async def test_a_session_whose_prompt_breaks_is_told_in_numbers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bawn.model_server")
    async with server_on(tiny_gguf.write(tmp_path / "m.gguf")) as (client, _):
        headers = {"x-session-id": "the-session"}
        body = turn("one " * 30) | {"tools": [{"function": {"name": "f"}}]}
        await usage(client, body, **headers)
        await usage(client, body | {"messages": [*body["messages"], {"role": "user", "content": "more"}]}, **headers)
        text = (await client.get("/metrics")).text
        assert "bawn_model_prefix_breaks_total 0.0" in text
        dated = {"role": "system", "content": "Today is Monday. " + SYSTEM["content"]}
        await usage(client, body | {"messages": [dated, *body["messages"][1:]]}, **headers)
        text = (await client.get("/metrics")).text
        assert "bawn_model_prefix_breaks_total 1.0" in text
        assert 'bawn_model_prefix_broken_message_bucket{le="0.0"} 1.0' in text
        longer = [*body["messages"], {"role": "user", "content": "more"}]
        await usage(client, body | {"messages": longer}, **headers)
        await usage(client, body | {"messages": [*longer[:2], {"role": "user", "content": "else"}]}, **headers)
        await until(lambda: broken_messages(caplog) == [0, 0, 2])
        text = (await client.get("/metrics")).text
        assert "bawn_model_prefix_broken_message_sum 2.0" in text
        assert 'bawn_model_first_token_seconds_count{urgency="chat"} 5.0' in text
    assert "the-session" not in caplog.text


async def test_a_client_that_leaves_a_long_prompt_ends_the_step_that_feeds_it(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", n_ctx=16384)
    async with server_on(model, n_ctx=16384, n_batch=16384, n_slots=1) as (client, engine):
        body = {"model": "tiny", "prompt": "word " * 3000, "max_tokens": 1}
        leaving = asyncio.create_task(client.post("/v1/completions", json=body))
        await until(lambda: engine.slots()[0].state == "prefill")
        leaving.cancel()
        await until(lambda: engine.slots()[0].state == "idle")
        assert engine.stats.aborted_steps == 1
        assert engine.stats.fed_tokens == 0
        # The engine works on, and what it was fed half is not taken for something that it holds.
        answer = await client.post("/v1/completions", json=body | {"prompt": "word " * 20})
        assert answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


async def test_a_client_that_leaves_costs_its_session_no_more_than_that_prompt_on_a_hybrid(tmp_path: Path) -> None:
    """What a broken step left in the recurrent layers is gone with it: the answers are those of a server that never saw
    the prompt."""
    model = tiny_gguf.write_hybrid(tmp_path / "m.gguf", n_ctx=16384)
    long, short = turn("first " * 20, "answered", "word " * 2400), turn("first " * 20, "answered", "and then?")
    async with server_on(model, n_ctx=16384, n_batch=16384, n_slots=1, cache_mib=0) as (client, _):
        await usage(client, turn("first " * 20))
        plain = (await client.post(CHAT, json=short | {"max_tokens": 24})).json()
    async with server_on(model, n_ctx=16384, n_batch=16384, n_slots=1, cache_mib=0) as (client, engine):
        await usage(client, turn("first " * 20))
        leaving = asyncio.create_task(client.post(CHAT, json=long))
        await until(lambda: engine.slots()[0].prompt_tokens > 2400)
        leaving.cancel()
        await until(lambda: engine.slots()[0].state == "idle")
        assert engine.stats.aborted_steps == 1
        told = (await client.post(CHAT, json=short | {"max_tokens": 24})).json()
    assert told["usage"]["prompt_tokens_details"]["cached_tokens"] > 300, "the session's first turn is still there"
    assert told["choices"][0]["message"]["content"] == plain["choices"][0]["message"]["content"]


async def test_autocomplete_ends_the_step_that_feeds_a_long_prompt_which_is_answered_nevertheless(
    tmp_path: Path,
) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", fim=True, n_ctx=16384)
    async with server_on(model, n_ctx=16384, n_batch=16384, n_slots=1, cache_mib=0) as (client, engine):
        long = {"model": "tiny", "prompt": "word " * 2400, "max_tokens": 4, "temperature": 0}
        plain = (await client.post("/v1/completions", json=long)).json()["choices"][0]["text"]
        await client.post("/v1/completions", json=long | {"prompt": "another"})
        reading = asyncio.create_task(client.post("/v1/completions", json=long))
        await until(lambda: engine.slots()[0].state == "prefill")
        typed = {"model": "tiny", "prompt": "a", "suffix": "z", "max_tokens": 3}
        assert (await client.post("/v1/completions", json=typed)).status_code == 200
        assert not reading.done()
        assert engine.stats.aborted_steps == 1
        assert (await reading).json()["choices"][0]["text"] == plain


async def test_autocomplete_gets_a_slot_of_its_own_while_all_others_are_busy(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "m.gguf", successors=tiny_gguf.ALPHABET, fim=True, n_ctx=8192)
    async with server_on(model, n_ctx=8192, n_slots=1) as (client, engine):
        long = {"model": "tiny", "prompt": "x\n", "max_tokens": 5000, "ignore_eos": True}
        busy = asyncio.create_task(client.post("/v1/completions", json=long))
        await until(lambda: engine.slots()[0].state == "generating")
        body = {"model": "tiny", "prompt": "a", "suffix": "z", "max_tokens": 3}
        assert (await client.post("/v1/completions", json=body)).status_code == 200
        assert engine.slots()[0].state == "generating"
        busy.cancel()


async def test_two_prompts_are_fed_side_by_side(tmp_path: Path) -> None:
    """A short question does not wait until somebody's whole repository is read."""
    model = tiny_gguf.write(tmp_path / "m.gguf", n_ctx=16384)
    async with server_on(model, n_ctx=16384, n_batch=256, n_slots=2) as (client, engine):
        long = {"model": "tiny", "prompt": "word " * 2400, "max_tokens": 1, "user": "ada"}
        reading = asyncio.create_task(client.post("/v1/completions", json=long))
        await until(lambda: engine.slots()[0].state == "prefill")
        short = {"model": "tiny", "prompt": "word? " * 20, "max_tokens": 1, "user": "bob"}
        assert (await client.post("/v1/completions", json=short)).status_code == 200
        assert not reading.done()
        assert (await reading).status_code == 200


async def test_slots_and_metrics_hold_no_content(tmp_path: Path) -> None:
    async with server_on(tiny_gguf.write(tmp_path / "m.gguf"), cache_mib=4) as (client, _):
        secret = "canary-5d1c"
        await usage(client, turn(secret * 20), **{"x-session-id": secret, "x-bawn-user": secret})
        for path in ("/slots", "/metrics", "/health"):
            assert secret not in (await client.get(path)).text
        assert json.loads((await client.get("/slots")).text)
