"""Parsing answers in tests: what the parts add up to, however the text was cut."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bawn.model_server.chat.dialects import Dialect
from bawn.model_server.chat.parsing import AnswerParser
from bawn.model_server.chat.parts import CallArguments, CallStart, Part, Reasoning, Text
from bawn.model_server.chat.tools import Tools, tools_of

READ_FILE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Reads a file",
        "parameters": {
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "of the file"},
                "line": {"type": "integer", "description": "first line"},
                "options": {"type": "object", "description": "more"},
                "mode": {"type": "string", "enum": ["text", "bytes"], "description": "how"},
            },
            "required": ["path"],
        },
    },
}
SEARCH: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search-code",
        "description": "Searches",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "words"}},
            "required": ["query"],
        },
    },
}
TOOLS = [READ_FILE, SEARCH]


def offered(choice: Any = None, *, parallel: bool | None = None, tools: list[dict[str, Any]] = TOOLS) -> Tools:
    return tools_of(tools, choice, parallel=parallel)


@dataclass
class Parsed:
    """What an answer came to."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, parts: Iterable[Part]) -> None:
        for part in parts:
            match part:
                case Text(text):
                    self.text += text
                case Reasoning(text):
                    self.reasoning += text
                case CallStart(index, name_id, name):
                    assert index == len(self.calls)
                    assert name_id
                    self.calls.append((name, ""))
                case CallArguments(index, json):
                    assert index == len(self.calls) - 1, "arguments of a call that is over"
                    name, before = self.calls[index]
                    self.calls[index] = (name, before + json)


def parse(dialect: Dialect, pieces: Iterable[str], *, tools: Tools | None = None, reasoning: bool = False) -> Parsed:
    """The whole answer, given in `pieces`."""
    parser = AnswerParser(dialect, offered() if tools is None else tools, reasoning=reasoning)
    parsed = Parsed()
    for piece in pieces:
        parsed.add(parser.push(piece))
    parsed.add(parser.end())
    return parsed


def cut(text: str, at: Iterable[int]) -> list[str]:
    """`text` in pieces, cut at the places in `at`."""
    places = sorted({place for place in at if 0 < place < len(text)})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
