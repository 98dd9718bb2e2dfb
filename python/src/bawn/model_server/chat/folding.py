"""Messages rearranged for templates that are strict about who speaks when.

Clients send system messages in the middle and two messages of one role in a row. Some templates refuse that, and a
refused request helps nobody: nothing is left out, it only moves to where the template takes it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Messages = Sequence[Mapping[str, Any]]


def foldings() -> list[Callable[[Messages], list[dict[str, Any]]]]:
    """What to try, least change first."""
    return [late_system_as_user, one_role_a_turn, system_in_first_user]


def late_system_as_user(messages: Messages) -> list[dict[str, Any]]:
    """System messages after the first become the user's."""
    return [
        {**message, "role": "user"} if index and message["role"] == "system" else dict(message)
        for index, message in enumerate(messages)
    ]


def one_role_a_turn(messages: Messages) -> list[dict[str, Any]]:
    """Neighbours of one role, too, become one message."""
    folded: list[dict[str, Any]] = []
    for message in late_system_as_user(messages):
        if folded and _joinable(folded[-1], message):
            folded[-1] = {**folded[-1], **message, "content": _joined(folded[-1]["content"], message["content"])}
        else:
            folded.append(message)
    return folded


def system_in_first_user(messages: Messages) -> list[dict[str, Any]]:
    """The system message, too, goes to the head of the first user message: some models have no such role."""
    if not messages or messages[0]["role"] != "system":
        return one_role_a_turn(messages)
    system, rest = messages[0], [dict(message) for message in messages[1:]]
    at = next((index for index, message in enumerate(rest) if message["role"] == "user"), None)
    if at is None:
        rest.insert(0, {"role": "user", "content": system["content"]})
    else:
        rest[at] = {**rest[at], "content": _joined(system["content"], rest[at]["content"])}
    return one_role_a_turn(rest)


def _joinable(before: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    same = before["role"] == message["role"] and message["role"] in ("user", "assistant", "system")
    return same and not before.get("tool_calls")


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
