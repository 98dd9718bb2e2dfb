"""How urgent a request is, and whose."""

import pytest

from bawn.contracts.hints import URGENCY, USER
from bawn.model_server.hints import hints_of


@pytest.mark.parametrize(
    ("headers", "request_", "expected"),
    [
        ({}, {"fim": False, "tools": True, "tokens": 9000}, "chat"),
        ({}, {"fim": True, "tools": False, "tokens": 90}, "fim"),
        ({}, {"fim": False, "tools": False, "tokens": 90}, "chat"),
        ({"x-session-id": "s"}, {"fim": False, "tools": False, "tokens": 90}, "background"),
        ({"x-session-id": "s"}, {"fim": False, "tools": True, "tokens": 90}, "chat"),
        ({"x-session-id": "s"}, {"fim": False, "tools": False, "tokens": 9000}, "chat"),
        ({URGENCY: "background"}, {"fim": False, "tools": True, "tokens": 9000}, "background"),
        ({URGENCY: "urgent!"}, {"fim": False, "tools": True, "tokens": 9000}, "chat"),
    ],
)
def test_the_gateways_word_counts_else_what_is_asked_for(
    headers: dict[str, str], request_: dict[str, int], expected: str
) -> None:
    assert hints_of(headers).kind(**request_) == expected  # type: ignore[arg-type]


def test_a_session_is_known_by_a_hash_of_any_of_its_names() -> None:
    named = hints_of({"x-session-id": "my-session"}).session
    assert named
    assert "my-session" not in named
    assert hints_of({"x-session-affinity": "my-session"}).session == named
    assert hints_of({}, cache_key="my-session").session == named
    assert hints_of({}).session == ""
    assert len(hints_of({USER: "u" * 999}).user) <= 64
