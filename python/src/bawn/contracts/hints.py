"""What the gateway tells a model server of a request beside its body; a server that knows none of it serves it, too."""

from typing import Final, Literal

Urgency = Literal["fim", "chat", "background"]
"""Somebody types and waits; somebody waits; nobody does (titles, summaries)."""

USER: Final = "x-bawn-user"
"""An opaque name of whose request it is, by which users get equal shares."""
URGENCY: Final = "x-bawn-urgency"
SESSION_HEADERS: Final = ("x-session-id", "x-session-affinity")
"""By which coding agents name a conversation."""
