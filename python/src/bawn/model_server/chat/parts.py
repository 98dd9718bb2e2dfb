"""What an answer is made of: text, reasoning, tool calls; each part as it becomes certain."""

from typing import Literal

import msgspec


class Text(msgspec.Struct, frozen=True):
    """More of the answer itself."""

    text: str


class Reasoning(msgspec.Struct, frozen=True):
    """More of what the model thinks before it answers."""

    text: str


class CallStart(msgspec.Struct, frozen=True):
    """A tool call begins; `index` counts from 0."""

    index: int
    id: str
    name: str


class CallArguments(msgspec.Struct, frozen=True):
    """More of the arguments of the call `index`: a piece of JSON text."""

    index: int
    json: str


Part = Text | Reasoning | CallStart | CallArguments

Schema = dict[str, object]
"""A JSON schema."""

ToolChoice = Literal["auto", "none", "required"]
