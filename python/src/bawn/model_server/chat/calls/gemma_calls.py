"""Gemma 4's calls: `call:name{key:value}`, with strings between `<|"|>`; made into JSON as they come."""

import json
from typing import Final

import msgspec

from bawn.model_server.chat.calls.reader import Calls, begins
from bawn.model_server.chat.calls.schema_types import PYTHON_WORDS
from bawn.model_server.chat.parts import Part

QUOTE: Final = '<|"|>'
END_CALL: Final = "<tool_call|>"
CALL: Final = "call:"

_CLOSERS: Final = {"{": "}", "[": "]"}


class GemmaCalls:
    """Reads what follows `<|tool_call>`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""
        self._named = False
        self._open: list[str] = []
        self._in_string = False
        self._is_key = False  # the string or word at hand is a key
        self._over = False  # the arguments are complete
        self.done = False
        self.rest = ""
        self.refused: str | None = None

    def push(self, text: str) -> list[Part]:
        """Read on."""
        self._held += text
        parts: list[Part] = []
        if not self._named:
            name, brace, rest = self._held.lstrip().removeprefix(CALL).partition("{")
            if not brace:
                return []
            self._named, self._is_key, self._held = True, True, rest
            self._open.append("{")
            parts += [self._calls.start(name.strip()), *self._calls.arguments("{")]
        out: list[str] = []
        while self._held and not self._over:
            piece = self._string() if self._in_string else self._structure()
            if piece is None:
                break
            out.append(piece)
        parts += self._calls.arguments("".join(out))
        if self._over:
            self._close()
        return parts

    def _string(self) -> str | None:
        text, quote, rest = self._held.partition(QUOTE)
        if quote:
            self._held, self._in_string = rest, False
            return json.dumps(text, ensure_ascii=False)[1:]
        keep = next((n for n in range(min(len(QUOTE) - 1, len(text)), 0, -1) if text.endswith(QUOTE[:n])), 0)
        text, self._held = text[: len(text) - keep], text[len(text) - keep :]
        return json.dumps(text, ensure_ascii=False)[1:-1] if text else None

    def _structure(self) -> str | None:
        char = self._held[0]
        quoted = begins(self._held, QUOTE)
        if quoted is None:
            return None
        if quoted:
            self._held, self._in_string = self._held[len(QUOTE) :], True
            return '"'
        if char in _CLOSERS:
            self._held = self._held[1:]
            self._open.append(char)
            self._is_key = char == "{"
            return char
        if char in "}]":
            self._held = self._held[1:]
            closer = _CLOSERS[self._open.pop()]
            self._over, self._is_key = not self._open, False
            return closer
        if char in ",:" or char.isspace():
            self._held = self._held[1:]
            if not char.isspace():
                self._is_key = char == "," and self._open[-1] == "{"
            return char
        return self._word()

    def _word(self) -> str | None:
        """A key, a number or a name such as true; a string whose quotes were forgotten."""
        end = next((at for at, char in enumerate(self._held) if char in ",}]:" and (char != ":" or self._is_key)), None)
        if end is None:
            return None
        word, self._held = self._held[:end].strip(), self._held[end:]
        if self._is_key:
            return json.dumps(word, ensure_ascii=False)
        word = PYTHON_WORDS.get(word, word)
        try:
            msgspec.json.decode(word)
        except msgspec.DecodeError:
            return json.dumps(word, ensure_ascii=False)
        return word

    def _close(self) -> None:
        self._held = self._held.lstrip()
        closed = begins(self._held, END_CALL)
        if closed is None:
            return
        self.done, self.rest = True, self._held[len(END_CALL) :] if closed else self._held

    def end(self) -> list[Part]:
        """Nothing is held back that could be told."""
        return []
