"""One JSON value, followed as it comes, with what models get wrong put right."""

import json
from typing import Final

_CLOSERS: Final = {"{": "}", "[": "]"}
_SCALAR_ENDS: Final = frozenset(",}]<;")


class JsonValue:
    """Follows one value to its end.

    Raw line breaks inside strings are escaped, and a value that is left off at a tag is closed, so that a client can
    decode what a sloppy model wrote. Nothing else is changed.
    """

    def __init__(self) -> None:
        self._open: list[str] = []
        self._started = False
        self._in_string = False
        self._escaped = False
        self.done = False

    def push(self, text: str) -> tuple[str, int]:
        """Read on: the value's text, and how many characters of `text` belong to it."""
        out: list[str] = []
        for at, char in enumerate(text):
            if self.done:
                return "".join(out), at
            if self._in_string:
                out.append(self._string(char))
            elif not self._started and char.isspace():
                continue
            elif self._ends_before(char):
                out += reversed([_CLOSERS[bracket] for bracket in self._open])
                self.done = True
                return "".join(out), at
            else:
                out.append(char)
                self._structure(char)
        return "".join(out), len(text)

    def _string(self, char: str) -> str:
        if self._escaped:
            self._escaped = False
            return char
        if char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
            self.done = not self._open
        elif char < " ":
            return json.dumps(char)[1:-1]
        return char

    def _ends_before(self, char: str) -> bool:
        if self._open:
            return char == "<"  # no JSON has it outside of strings: a closing tag
        return self._started and (char in _SCALAR_ENDS or char.isspace())

    def _structure(self, char: str) -> None:
        self._started = True
        if char == '"':
            self._in_string = True
        elif char in _CLOSERS:
            self._open.append(char)
        elif char in "}]":
            if self._open:
                self._open.pop()
            self.done = not self._open
