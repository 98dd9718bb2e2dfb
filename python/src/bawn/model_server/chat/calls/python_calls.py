"""Llama 3's calls of built-in tools, as Python: `name.call(key="value")` after `<|python_tag|>`."""

import ast
import json
import re
from typing import Final

from bawn.model_server.chat.calls.json_calls import JsonCalls
from bawn.model_server.chat.calls.reader import MALFORMED, Calls
from bawn.model_server.chat.parts import Part

_CALL: Final = re.compile(r"\s*([\w.-]+?)(?:\.call)?\s*\((.*)\)\s*", re.DOTALL)


class PythonCalls:
    """Reads what follows `<|python_tag|>`: JSON, or one call that ends with the answer."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._json: JsonCalls | None = None
        self._text = ""
        self.done = False
        self.rest = ""
        self.refused: str | None = None

    def push(self, text: str) -> list[Part]:
        """Read on."""
        if self._json is None:
            self._text += text
            if not self._text.lstrip().startswith("{"):
                return []
            self._json, text = JsonCalls(self._calls), self._text.lstrip()
        parts = self._json.push(text)
        self.done, self.rest = self._json.done, self._json.rest
        return parts

    def end(self) -> list[Part]:
        """The call."""
        if self._json is not None:
            return self._json.end()
        if not self._text.strip():
            return []
        name, arguments = _read(self._text) or (MALFORMED, {"text": self._text})
        return [self._calls.start(name), *self._calls.arguments(json.dumps(arguments, ensure_ascii=False))]


def _read(text: str) -> tuple[str, dict[str, object]] | None:
    found = _CALL.fullmatch(text)
    if found is None:
        return None
    try:
        call = ast.parse(f"f({found[2]})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return None
        return found[1], {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg is not None}
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
