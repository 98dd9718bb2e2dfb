"""How urgent a request is, as far as it can be told from outside."""

from collections.abc import Mapping
from typing import Final

from bawn.contracts.hints import SESSION_HEADERS, Urgency
from bawn.contracts.record import Surface

_SMALL: Final = 8 * 1024


def urgency(surface: Surface, body: bytes, headers: Mapping[str, str]) -> Urgency | None:
    """The class of a request; None: the model server knows better.

    Agents that name their session ask for titles and summaries beside the conversation: short, and without tools.
    """
    if surface == "fim":
        return "fim"
    if surface != "chat":
        return None
    named = any(name in headers for name in SESSION_HEADERS)
    return "background" if named and len(body) <= _SMALL and b'"tools"' not in body else "chat"
