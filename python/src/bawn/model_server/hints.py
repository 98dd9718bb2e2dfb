"""Whose request it is and how urgent, from its headers."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from bawn.contracts.hints import SESSION_HEADERS, URGENCY, USER, Urgency

_SMALL_TOKENS = 1024


class Hints(NamedTuple):
    """What is told beside the body; none of it is needed."""

    user: str = ""
    urgency: Urgency | None = None
    session: str = ""
    """A hash of the name by which the client knows its conversation."""

    def kind(self, *, fim: bool, tools: bool, tokens: int) -> Urgency:
        """How urgent the request is: as the gateway says, else by what it asks for.

        A session's short request without tools is for a title or a summary.
        """
        if fim:
            return "fim"
        if self.urgency is not None:
            return self.urgency
        return "background" if self.session and not tools and tokens <= _SMALL_TOKENS else "chat"


def hints_of(headers: Mapping[str, str], *, cache_key: str | None = None) -> Hints:
    """The hints of a request.

    Args:
        headers: of the request.
        cache_key: `prompt_cache_key` of its body.
    """
    name = next((headers[key] for key in SESSION_HEADERS if headers.get(key)), cache_key or "")
    told = headers.get(URGENCY)
    urgency: Urgency | None = told if told in ("fim", "chat", "background") else None
    session = hashlib.sha256(name.encode()).hexdigest()[:16] if name else ""
    return Hints(headers.get(USER, "")[:64], urgency, session)
