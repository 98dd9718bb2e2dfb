import base64
import json
from array import array
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bawn.contracts.errors import (
    ContextLengthExceeded,
    InternalError,
    ModelNotFound,
    NotFound,
    Overloaded,
    RequestError,
    Unavailable,
    UpstreamBroken,
    UpstreamTimeout,
    openai_body,
)
from bawn.search.vectors.client import EmbeddingClient, Vector


def embed(answer: Callable[[httpx.Request], httpx.Response], *texts: str) -> list[Vector]:
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server") as client:
        return EmbeddingClient(client, "mini").embed(texts)


def listed(*vectors: Any) -> dict[str, Any]:
    data = [{"index": index, "embedding": vector, "object": "embedding"} for index, vector in vectors]
    return {"object": "list", "data": data, "model": "mini", "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def packed(*numbers: float) -> str:
    return base64.b64encode(array("f", numbers).tobytes()).decode()


def test_vectors_come_in_the_order_of_their_texts_however_they_are_written():
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json=listed((1, packed(3, 4)), (0, [1.5, 2.5])))

    assert embed(answer, "a", "b") == [array("f", [1.5, 2.5]), array("f", [3, 4])]
    assert asked == [("/v1/embeddings", {"model": "mini", "input": ["a", "b"], "encoding_format": "base64"})]


def test_no_texts_are_no_request():
    def answer(_: httpx.Request) -> httpx.Response:
        raise AssertionError

    assert embed(answer) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (ContextLengthExceeded(900, 512, of_input=0), ContextLengthExceeded),
        (ModelNotFound("mini", []), NotFound),
        (Overloaded("busy", retry_after=7), Overloaded),
        (Unavailable("loading", retry_after=5), Unavailable),
        (InternalError(), InternalError),
    ],
)
def test_a_refusal_is_the_error_that_it_was(told: RequestError, expected: type[RequestError]):
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(told.status, json=openai_body(told), headers=told.headers)

    with pytest.raises(expected) as raised:
        embed(answer, "a")
    assert (raised.value.status, raised.value.retry_after) == (told.status, told.retry_after)
    if isinstance(raised.value, ContextLengthExceeded):
        assert (raised.value.prompt_tokens, raised.value.context_tokens) == (900, 512)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"{}",
        json.dumps(listed((0, [1.0]))).encode(),
        json.dumps(listed((0, [1.0]), (0, [1.0]))).encode(),
        json.dumps(listed((0, [1.0]), (1, [1.0, 2.0]))).encode(),
        json.dumps(listed((0, [1.0]), (1, "%%%"))).encode(),
        json.dumps(listed((0, [1.0]), (1, base64.b64encode(b"123").decode()))).encode(),
    ],
)
def test_an_answer_that_fits_not_is_no_answer(content: bytes):
    with pytest.raises(UpstreamBroken):
        embed(lambda _: httpx.Response(200, content=content), "a", "b")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ConnectError("no"), Unavailable),
        (httpx.ReadTimeout("slow"), UpstreamTimeout),
        (httpx.ReadError("gone"), UpstreamBroken),
    ],
)
def test_a_server_that_is_not_there_is_told(failure: Exception, expected: type[RequestError]):
    def answer(_: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(expected):
        embed(answer, "a")
    with pytest.raises(UpstreamBroken):
        embed(lambda _: httpx.Response(418, content=b"teapot"), "a")
