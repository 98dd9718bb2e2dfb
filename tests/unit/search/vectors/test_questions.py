"""Vectors of questions: at once or not at all."""

import socket
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from bawn.search.vectors.client import EmbeddingClient
from bawn.search.vectors.questions import LATE, WITHIN_S, QuestionVectors
from bawn.search.vectors.stored import ByteVector

Answer = Callable[[httpx.Request], httpx.Response]


def good(_: httpx.Request) -> httpx.Response:
    data = [{"index": 0, "embedding": [3.0, 4.0], "object": "embedding"}]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return httpx.Response(200, json={"object": "list", "data": data, "model": "mini", "usage": usage})


@contextmanager
def client(answer: Answer) -> Iterator[EmbeddingClient]:
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server") as http:
        yield EmbeddingClient(http, "mini")


class Away:
    """A server that is away, and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        raise httpx.ConnectError("no")


def test_a_question_is_embedded_once() -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.content)
        return good(request)

    with client(answer) as one:
        questions = QuestionVectors([one])
        for _ in range(3):
            found = questions.begin("where is it").get()
            assert isinstance(found, ByteVector)
            assert found.numbers == array("b", [95, 127])
    assert len(asked) == 1


def test_another_server_is_asked_where_one_is_away() -> None:
    with client(Away()) as first, client(good) as second:
        assert isinstance(QuestionVectors([first, second]).begin("where").get(), ByteVector)


def test_after_a_failure_nobody_is_asked_for_a_while() -> None:
    now = [100.0]
    away = Away()
    with client(away) as one:
        questions = QuestionVectors([one], clock=lambda: now[0])
        told = [questions.begin(text).get() for text in ("a", "b", "c")]
        assert told == ["The server for embeddings can't be reached."] * 3
        assert away.asked == 1
        now[0] += 60
        questions.begin("d").get()
        assert away.asked == 2


def test_who_answers_late_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=2) as http:
            began = time.monotonic()
            assert QuestionVectors([EmbeddingClient(http, "mini")]).begin("where").get() == LATE
            assert WITHIN_S <= time.monotonic() - began < 2


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_a_refusal_is_told_and_asked_for_no_more(status: int) -> None:
    with client(lambda _: httpx.Response(status, json={"error": {"message": f"No: {status}."}})) as one:
        assert QuestionVectors([one]).begin("where").get() == f"No: {status}."
