"""What a relayed stream looks like in each dialect: its keepalive, its error, its end."""

from dataclasses import dataclass
from typing import Protocol

from bawn.contracts.errors import RequestError
from bawn.contracts.sse import StreamKind, error_event, keepalive_event


class Dialect(Protocol):
    """A streaming dialect, as the client reads it."""

    def keepalive(self, model: str) -> bytes:
        """An event that the client counts as progress and that adds nothing to the answer."""
        ...

    def error(self, error: RequestError) -> bytes:
        """The events that end a stream with an error."""
        ...

    def is_end(self, events: bytes) -> bool:
        """Whether these complete events hold the one that ends an answer."""
        ...


@dataclass(frozen=True)
class OpenAIDialect:
    """Chat and completion streams; both end with `data: [DONE]`."""

    kind: StreamKind

    def keepalive(self, model: str) -> bytes:
        """A chunk with an empty delta (or text): OpenCode ignores comments as progress."""
        return keepalive_event(self.kind, model)

    def error(self, error: RequestError) -> bytes:
        """`data: {"error": …}`, on which the OpenAI SDKs raise."""
        return error_event(error)

    def is_end(self, events: bytes) -> bool:
        """An answer's last event is short, so that looking at the tail is enough."""
        tail = events[-32:]
        return b"data: [DONE]" in tail or b"data:[DONE]" in tail


CHAT = OpenAIDialect("chat")
COMPLETION = OpenAIDialect("completion")
