"""Bounds and routing fields of request bodies."""

import json

import pytest

from bawn.contracts.errors import InvalidRequest
from bawn.relay.body import MAX_DEPTH, check_depth, head, with_model


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_depth_is_bounded() -> None:
    check_depth(nested(MAX_DEPTH))
    with pytest.raises(InvalidRequest, match="deeper than 64"):
        check_depth(nested(MAX_DEPTH + 1))


def test_brackets_inside_strings_do_not_count() -> None:
    check_depth(json.dumps({"content": '[[{"' * 200 + "\\"}).encode())


def test_head_names_the_missing_field() -> None:
    with pytest.raises(InvalidRequest, match="model"):
        head(b'{"stream": true}')


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"model": 1}', b'{"model": "m", "stream": "yes"}'])
def test_what_can_not_be_routed_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        head(body)


def test_another_model_name_leaves_every_other_byte() -> None:
    body = b'{"temperature": 0.10, "model": "alias", "messages": [ {"x": 1e2} ]}'
    changed = with_model(body, "real")
    assert json.loads(changed)["model"] == "real"
    assert b'[ {"x": 1e2} ]' in changed
    assert b"0.10" in changed
