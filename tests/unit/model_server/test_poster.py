"""From an engine's thread to the event loop."""

import asyncio
import threading

import pytest

from bawn.model_server.poster import Poster


async def test_calls_come_in_the_order_in_which_they_were_posted_on_the_loops_thread() -> None:
    poster, came = Poster(), list[tuple[int, int]]()
    poster.post(lambda: came.append((0, threading.get_ident())))  # before it has a loop
    poster.start(asyncio.get_running_loop())

    def work() -> None:
        for number in range(1, 500):
            poster.post(lambda number=number: came.append((number, threading.get_ident())))
        poster.close()

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert came == [(number, threading.get_ident()) for number in range(500)]


def test_what_is_posted_to_a_loop_that_is_closed_is_dropped_and_closing_still_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    loop = asyncio.new_event_loop()
    poster = Poster()
    poster.start(loop)
    loop.close()
    poster.post(print, "nobody hears this")
    poster.close()
    assert failed == []
