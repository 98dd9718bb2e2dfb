"""The error tree and its bodies."""

import json

import pytest

from bawn.contracts import errors
from bawn.contracts.errors import ContextLengthExceeded, ModelNotFound, Overloaded, RequestError, encode_openai


def tree(root: type[RequestError]) -> list[type[RequestError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in tree(child))]


DRAWN = [kind for kind in tree(RequestError)[1:] if kind.__module__ == errors.__name__]


def test_errors_of_other_modules_look_to_clients_like_one_of_these() -> None:
    for kind in tree(RequestError)[1:]:
        assert any(issubclass(kind, one) and (kind.status, kind.code) == (one.status, one.code) for one in DRAWN), kind


@pytest.mark.parametrize("kind", DRAWN, ids=lambda kind: kind.__name__)
def test_every_error_class_is_in_the_drawing_with_its_status_and_code(kind: type[RequestError]) -> None:
    assert errors.__doc__ is not None
    row = next(line for line in errors.__doc__.splitlines() if f" {kind.__name__} " in line)
    assert str(kind.status) in row
    assert kind.code in row


def test_an_overlong_prompt_names_both_counts_in_the_words_that_assistants_know() -> None:
    body = json.loads(encode_openai(ContextLengthExceeded(9000, 8192)))["error"]
    assert body["code"] == "context_length_exceeded"
    assert "maximum context length is 8192 tokens" in body["message"]
    assert "9000" in body["message"]


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    assert Overloaded("x", retry_after=0.2).headers == {"retry-after": "1"}
    assert Overloaded("x").headers == {}


def test_an_unknown_model_lists_the_known_ones() -> None:
    assert "Known models: a, b" in ModelNotFound("c", ["a", "b"]).message
