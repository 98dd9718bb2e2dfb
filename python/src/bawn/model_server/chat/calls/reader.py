"""What every reader of tool calls is, and how calls are numbered."""

from collections.abc import Callable
from typing import Final, Protocol

from bawn.model_server.chat.parts import CallArguments, CallStart, Part

MALFORMED: Final = "malformed_tool_call"
"""The name of a call that can't be read: its text is the argument, so that the model is told rather than cut off."""


class Calls:
    """Numbers the calls of one answer."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.count = 0

    def start(self, name: str) -> CallStart:
        """The next call begins."""
        self.count += 1
        return CallStart(self.count - 1, self._new_id(), name)

    def arguments(self, json: str) -> list[Part]:
        """More arguments of the call that began last."""
        return [CallArguments(self.count - 1, json)] if json else []


class CallReader(Protocol):
    """Reads from where a call begins to where it ends."""

    done: bool
    """The call has ended."""
    rest: str
    """What came after its end."""
    refused: str | None
    """It was no call: all of its text. Only before anything was given out."""

    def push(self, text: str) -> list[Part]:
        """Read on. Not after `done`."""
        ...

    def end(self) -> list[Part]:
        """The model stopped in the middle of the call: what was held back. Nothing is made up to complete it."""
        ...


def begins(text: str, marker: str) -> bool | None:
    """Whether `text` begins with `marker`; None: more text must tell."""
    if text.startswith(marker):
        return True
    return None if marker.startswith(text) else False


def overlap(text: str, marker: str) -> int:
    """Length of the longest end of `text` that is a beginning of `marker`, short of the whole of it."""
    for size in range(min(len(marker) - 1, len(text)), 0, -1):
        if text.endswith(marker[:size]):
            return size
    return 0
