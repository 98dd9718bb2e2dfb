"""Calls as JSON objects: Hermes and Qwen2.5 (in a tag), Mistral (in a list), Llama 3 (bare)."""

import json
from collections.abc import Collection
from typing import Any, Final, cast

import msgspec

from bawn.model_server.chat.calls.json_value import JsonValue
from bawn.model_server.chat.calls.reader import MALFORMED, Calls, begins
from bawn.model_server.chat.parts import Part

_ARGUMENTS: Final = frozenset({"arguments", "parameters"})
_BETWEEN: Final = " \t\r\n,[]"


class JsonCalls:
    """One call or several: objects, alone or in a list, up to `closing`.

    Args:
        calls: numbers them.
        closing: the tag that ends them; may be missing, as models forget it. Empty: they end with the object or list.
        known: where given, an object that names none of these is no call, but text.
    """

    def __init__(self, calls: Calls, *, closing: str = "", known: Collection[str] | None = None) -> None:
        self._calls = calls
        self._closing = closing
        self._known = known
        self._object: _CallObject | None = None
        self._read = 0
        self._listed = False
        self._held = ""
        self._all = ""
        self.done = False
        self.rest = ""
        self.refused: str | None = None

    def push(self, text: str) -> list[Part]:
        """Read on."""
        if self._known is not None and not self._read:
            self._all += text
        self._held += text
        parts: list[Part] = []
        while self._held and not self.done and self.refused is None:
            if self._object is None:
                if not self._begin():
                    break
            else:
                parts += self._go_on(self._object)
        return parts

    def _begin(self) -> bool:
        """Skip what may stand between objects; False: more text must come."""
        skipped = len(self._held) - len(self._held.lstrip(_BETWEEN))
        between, self._held = self._held[:skipped], self._held[skipped:]
        if not self._read and "[" in between:
            self._listed = True
        if self._read and not self._closing and (not self._listed or "]" in between):
            self._finish(between.partition("]")[2] + self._held if self._listed else between + self._held)
            return False
        if not self._held:
            return False
        if self._held[0] == "{":
            self._object = _CallObject(self._calls, self._known)
            return True
        if self._closing:
            closed = begins(self._held, self._closing)
            if closed is None:
                return False
            if closed:
                self._held = self._held[len(self._closing) :]
        self._finish(self._held)
        return False

    def _go_on(self, reading: "_CallObject") -> list[Part]:
        parts, used = reading.push(self._held)
        self._held = self._held[used:]
        if reading.unknown:
            self.refused = self._all
        elif reading.done:
            self._object = None
            self._read += 1
            if not self._closing and not self._listed:
                self._finish(self._held)
        return parts

    def _finish(self, rest: str) -> None:
        self.done, self.rest, self._held = True, rest, ""

    def end(self) -> list[Part]:
        """What was held back."""
        if self._object is not None and self._known is not None and not self._object.named:
            self.refused = self._all
            return []
        return self._object.end() if self._object is not None else []


class _CallObject:
    """`{"name": …, "arguments": {…}}`, whatever the order of the keys."""

    def __init__(self, calls: Calls, known: Collection[str] | None) -> None:
        self._calls = calls
        self._known = known
        self._text = ""
        self._key: str | None = None
        self._value: JsonValue | None = None
        self._raw = ""
        self._inside = False
        self._arguments: str | None = None
        self._given = False
        self._streams = False
        self.named = False
        self.unknown = False
        self.done = False

    def push(self, text: str) -> tuple[list[Part], int]:
        """Read on: the parts, and how many characters were used."""
        parts: list[Part] = []
        at = 0
        while at < len(text) and not self.done and not self.unknown:
            if self._value is None:
                if text[at] == "<":
                    # A tag where a key should be: the brace was forgotten, and the reader of calls sees to the tag.
                    parts += self._close()
                    break
                at += 1
                parts += self._structure(text[at - 1])
                continue
            piece, used = self._value.push(text[at:])
            self._text += text[at : at + used]
            at += used
            self._raw += piece
            parts += self._more(piece)
            if self._value.done:
                parts += self._complete()
        return parts, at

    def _structure(self, char: str) -> list[Part]:
        if self._key is not None and char in '"{[-0123456789tfn':
            self._value = JsonValue()
            return self._first(char)
        self._text += char
        if char == "{":
            self._inside = True
        elif char == '"':
            self._value = JsonValue()
            self._raw = self._value.push(char)[0]
        elif char == "}":
            return self._close()
        return []

    def _first(self, char: str) -> list[Part]:
        assert self._value is not None  # noqa: S101 - set by the caller
        self._text += char
        self._raw = self._value.push(char)[0]
        # An object of arguments whose call is known is passed on as it comes.
        self._streams = self._key in _ARGUMENTS and self.named and char == "{" and not self._given
        return self._more(self._raw)

    def _more(self, piece: str) -> list[Part]:
        if not self._streams:
            return []
        self._given = True
        return self._calls.arguments(piece)

    def _complete(self) -> list[Part]:
        raw, key, streamed = self._raw, self._key, self._streams
        self._value, self._raw, self._streams = None, "", False
        if key is None:
            self._key = str(_decoded(raw))
            return []
        self._key = None
        if streamed:
            return []
        value = _decoded(raw)
        if key == "name" or (key == "function" and isinstance(value, str)):
            return self._name(str(value))
        if key in _ARGUMENTS:
            return self._keep(value if isinstance(value, str) else raw)
        if key == "function" and isinstance(value, dict):
            return self._nested(cast("dict[str, Any]", value))
        return []

    def _nested(self, function: dict[str, Any]) -> list[Part]:
        parts: list[Part] = []
        if isinstance(function.get("name"), str):
            parts += self._name(function["name"])
        for key in _ARGUMENTS & function.keys():
            value = function[key]
            parts += self._keep(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        return parts

    def _name(self, name: str) -> list[Part]:
        if self.named:
            return []
        if self._known is not None and name not in self._known:
            self.unknown = True
            return []
        self.named = True
        parts: list[Part] = [self._calls.start(name)]
        if self._arguments is not None:
            self._given = True
            parts += self._calls.arguments(self._arguments)
        return parts

    def _keep(self, arguments: str) -> list[Part]:
        if not self.named:
            self._arguments = arguments
            return []
        if self._given:
            return []
        self._given = True
        return self._calls.arguments(arguments)

    def _close(self) -> list[Part]:
        self.done = True
        if self.named:
            return [] if self._given else self._calls.arguments("{}")
        if self._known is not None:
            self.unknown = True
            return []
        text = json.dumps({"text": self._text}, ensure_ascii=False)
        return [self._calls.start(MALFORMED), *self._calls.arguments(text)]

    def end(self) -> list[Part]:
        """The output was cut off here; a call without a name can't be told."""
        return []


def _decoded(raw: str) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return raw.strip('"')
