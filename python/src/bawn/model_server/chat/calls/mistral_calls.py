"""Mistral's calls: a list of JSON objects, or since 2025 `name[ARGS]{…}`, each after `[TOOL_CALLS]`."""

from typing import Final

from bawn.model_server.chat.calls.json_calls import JsonCalls
from bawn.model_server.chat.calls.json_value import JsonValue
from bawn.model_server.chat.calls.reader import Calls, overlap
from bawn.model_server.chat.parts import Part

ARGUMENTS: Final = "[ARGS]"
CALL_ID: Final = "[CALL_ID]"


class MistralCalls:
    """Reads what follows `[TOOL_CALLS]`, in whichever of the two forms."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._listed: JsonCalls | None = None
        self._value: JsonValue | None = None
        self._held = ""
        self.done = False
        self.rest = ""
        self.refused: str | None = None

    def push(self, text: str) -> list[Part]:
        """Read on."""
        if self._listed is not None:
            return self._in_list(self._listed, text)
        if self._value is not None:
            return self._in_value(self._value, text)
        self._held = (self._held + text).lstrip()
        if self._held.startswith(("[{", "[ ", "[\n", "{")):
            self._listed = JsonCalls(self._calls)
            return self._in_list(self._listed, self._held)
        at = _arguments_at(self._held)
        if at is None:
            return []
        name = self._held[:at].partition(CALL_ID)[0].strip()
        self._value = JsonValue()
        text = self._held[at:].removeprefix(ARGUMENTS)
        return [self._calls.start(name), *self._in_value(self._value, text)]

    def _in_list(self, listed: JsonCalls, text: str) -> list[Part]:
        parts = listed.push(text)
        self.done, self.rest = listed.done, listed.rest
        return parts

    def _in_value(self, value: JsonValue, text: str) -> list[Part]:
        json, used = value.push(text)
        if value.done:
            self.done, self.rest = True, text[used:]
        return self._calls.arguments(json)

    def end(self) -> list[Part]:
        """What was held back."""
        return self._listed.end() if self._listed is not None else []


def _arguments_at(text: str) -> int | None:
    """Where the name is over: at `[ARGS]`, or at the arguments themselves where a model leaves that out."""
    marked, bare = text.find(ARGUMENTS), text.find("{")
    if marked >= 0 and not 0 <= bare < marked:
        return marked
    return None if bare < 0 or overlap(text[:bare], ARGUMENTS) else bare
