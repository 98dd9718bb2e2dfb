"""Qwen3-Coder's calls, and Qwen3.5's and 3.6's: tags around plain text, made into JSON by the tool's schema."""

import json
from collections.abc import Mapping
from typing import Final

from bawn.model_server.chat.calls.reader import Calls, begins
from bawn.model_server.chat.calls.schema_types import as_json, plain_text
from bawn.model_server.chat.parts import Part, Schema

FUNCTION: Final = "<function="
PARAMETER: Final = "<parameter="
END_PARAMETER: Final = "</parameter>"
END_FUNCTION: Final = "</function>"
END_CALL: Final = "</tool_call>"

_AFTER_VALUE: Final = (PARAMETER, END_FUNCTION, END_CALL)


class XmlCalls:
    """Reads from `<function=` on, or from what follows `<tool_call>`.

    A value ends at `</parameter>` where something follows that can follow a value: text that speaks of the tag itself
    is part of the value. Where a model forgets the tag, `</function>` or the next parameter of the schema ends it.
    """

    def __init__(self, calls: Calls, schemas: Mapping[str, Schema]) -> None:
        self._calls = calls
        self._schemas = schemas
        self._step = self._to_function
        self._held = ""
        self._tool = ""
        self._parameter = ""
        self._given: set[str] = set()
        self._streams = False
        self._begun = False  # some of the value was given out
        self.done = False
        self.rest = ""
        self.refused: str | None = None

    def push(self, text: str) -> list[Part]:
        """Read on."""
        self._held += text
        parts: list[Part] = []
        while not self.done:
            found = self._step()
            if found is None:
                break
            parts += found
        return parts

    def end(self) -> list[Part]:
        """What was held back of a value."""
        if self._step != self._in_value:
            return []
        text = self._held[: self._value_end()[1]]
        return self._string(text) if self._streams else []

    def _finish(self) -> list[Part]:
        self.done, self.rest, self._held = True, self._held, ""
        return []

    def _tag(self, *tags: str) -> str | None:
        """The tag that comes next; "" when it is none of them; None: more text must tell."""
        self._held = self._held.lstrip()
        verdicts = {tag: begins(self._held, tag) for tag in tags}
        found = next((tag for tag, verdict in verdicts.items() if verdict), None)
        if found is not None:
            self._held = self._held[len(found) :]
            return found
        return None if None in verdicts.values() else ""

    def _name(self) -> str | None:
        """A name up to `>`."""
        name, bracket, rest = self._held.partition(">")
        if not bracket:
            return None
        self._held = rest
        return name.strip().strip("\"'")

    def _to_function(self) -> list[Part] | None:
        match self._tag(FUNCTION, END_CALL):
            case None:
                return None
            case tag if tag == FUNCTION:
                self._step = self._in_function
                return []
            case _:
                return self._finish()

    def _in_function(self) -> list[Part] | None:
        name = self._name()
        if name is None:
            return None
        self._tool, self._given = name, set()
        self._step = self._between
        return [self._calls.start(name), *self._calls.arguments("{")]

    def _between(self) -> list[Part] | None:
        tag = self._tag(*_AFTER_VALUE)
        if tag is None:
            return None
        if tag == PARAMETER:
            self._step = self._in_parameter
        elif tag:
            self._step = self._after
            if tag == END_CALL:
                return [*self._calls.arguments("}"), *self._finish()]
            return self._calls.arguments("}")
        else:
            # Stray text between parameters has no place in JSON.
            at = self._held.find("<", 1)
            self._held = self._held[at:] if at > 0 else ""
            return [] if self._held else None
        return []

    def _in_parameter(self) -> list[Part] | None:
        name = self._name()
        if name is None:
            return None
        self._parameter = name
        self._streams = plain_text(self._schemas.get(self._tool, {}), name)
        self._begun = False
        self._step = self._in_value
        comma = "," if self._given else ""
        self._given.add(name)
        key = f"{comma}{json.dumps(name, ensure_ascii=False)}:"
        return self._calls.arguments(key + '"' if self._streams else key)

    def _in_value(self) -> list[Part] | None:
        if not self._begun and self._held in ("", "\n"):
            return None
        end, rest = self._value_end()
        if end is None:
            if not self._streams:
                return None
            text, self._held = self._held[:rest], self._held[rest:]
            return self._string(text) or None
        text, self._held = self._held[:end], self._held[rest:]
        self._step = self._between
        if self._streams:
            return [*self._string(text.removesuffix("\n")), *self._calls.arguments('"')]
        value = text.removeprefix("\n").removesuffix("\n")
        return self._calls.arguments(as_json(self._schemas.get(self._tool, {}), self._parameter, value))

    def _string(self, text: str) -> list[Part]:
        if not self._begun and text:
            self._begun, text = True, text.removeprefix("\n")
        return self._calls.arguments(json.dumps(text, ensure_ascii=False)[1:-1])

    def _value_end(self) -> tuple[int | None, int]:
        """Where the value ends and where reading goes on; or None, and up to where the text is surely of the value."""
        text, at = self._held, 0
        while (at := text.find("<", at)) >= 0:
            verdict, on = self._ends_at(at)
            if verdict:
                return at, on
            if verdict is None:
                break
            at += 1
        sure = len(text) if at < 0 else at
        return None, sure - 1 if text[:sure].endswith("\n") else sure

    def _ends_at(self, at: int) -> tuple[bool | None, int]:
        """Whether the value ends at the `<` there, and where reading goes on; None: more text must tell."""
        text = self._held[at:]
        closed = begins(text, END_PARAMETER)
        if closed:
            after = text[len(END_PARAMETER) :].lstrip()
            follows = [begins(after, tag) for tag in _AFTER_VALUE]
            if True in follows:
                return True, at + len(END_PARAMETER)
            return (None if None in follows else False), 0
        forgotten = self._forgotten(text) if at == 0 or self._held[at - 1] == "\n" else False
        if forgotten:
            return True, at
        return (None if closed is None or forgotten is None else False), 0

    def _forgotten(self, text: str) -> bool | None:
        """Whether `text` is what follows a value, where a line begins with it."""
        if ends := begins(text, END_FUNCTION):
            return begins(text[len(END_FUNCTION) :].lstrip(), END_CALL)
        if next_one := begins(text, PARAMETER):
            name, bracket, _ = text[len(PARAMETER) :].partition(">")
            if not bracket:
                return None
            return name in properties_of(self._schemas.get(self._tool, {})) and name not in self._given
        return None if ends is None or next_one is None else False

    def _after(self) -> list[Part] | None:
        match self._tag(END_CALL, FUNCTION):
            case None:
                return None
            case tag if tag == FUNCTION:
                self._step = self._in_function
                return []
            case _:
                return self._finish()


def properties_of(schema: Schema) -> Mapping[str, object]:
    """The declared parameters."""
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}
