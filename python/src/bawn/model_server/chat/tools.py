"""The tools that a request offers, and which of them the model may or must call."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from bawn.contracts.errors import InvalidRequest
from bawn.model_server.chat.parts import Schema, ToolChoice

_MAX_TOOLS = 512
_MAX_NAME = 256


class Tools(msgspec.Struct, frozen=True):
    """Offered tools by name, with the schema of their arguments."""

    schemas: Mapping[str, Schema] = {}
    choice: ToolChoice = "auto"
    """`required`: at least one call, of one of `callable_names`."""
    only: str | None = None
    """The one tool that `tool_choice` names."""
    parallel: bool = True
    """More than one call an answer is allowed."""

    @property
    def callable_names(self) -> list[str]:
        """Which tools may be called."""
        if self.choice == "none":
            return []
        return [self.only] if self.only is not None else list(self.schemas)


def tools_of(
    tools: Sequence[Mapping[str, Any]] | None, choice: str | Mapping[str, Any] | None, *, parallel: bool | None
) -> Tools:
    """The request's `tools`, `tool_choice` and `parallel_tool_calls`, checked.

    Raises:
        InvalidRequest: names the field and what it takes.
    """
    schemas: dict[str, Schema] = {}
    if len(tools or ()) > _MAX_TOOLS:
        raise InvalidRequest(f"`tools` takes {_MAX_TOOLS} tools at most.", param="tools")
    for index, tool in enumerate(tools or ()):
        name, schema = _function(tool, f"tools[{index}]")
        schemas[name] = schema
    wanted, only = _choice(choice)
    if only is not None and only not in schemas:
        raise InvalidRequest("`tool_choice` names a tool that `tools` does not have.", param="tool_choice")
    if wanted == "required" and not schemas:
        raise InvalidRequest("`tool_choice` asks for a call, but there are no `tools`.", param="tool_choice")
    return Tools(schemas, wanted, only, parallel is not False)


def _function(tool: Mapping[str, Any], where: str) -> tuple[str, Schema]:
    function = tool.get("function")
    if tool.get("type", "function") != "function" or not isinstance(function, dict):
        raise InvalidRequest("A tool is `{type: function, function: {name, parameters}}`.", param=where)
    of = cast("dict[str, Any]", function)
    name, schema = of.get("name"), of.get("parameters") or {}
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise InvalidRequest(f"A tool has a name of 1 to {_MAX_NAME} characters.", param=f"{where}.function.name")
    if not isinstance(schema, dict):
        raise InvalidRequest("A tool's parameters are a JSON schema.", param=f"{where}.function.parameters")
    return name, cast("Schema", schema)


def _choice(choice: str | Mapping[str, Any] | None) -> tuple[ToolChoice, str | None]:
    match choice:
        case None | "auto":
            return "auto", None
        case "none" | "required":
            return choice, None
        case {"type": "function", "function": {"name": str(name)}}:
            return "required", name
        case _:
            raise InvalidRequest(
                "`tool_choice` is none, auto, required or `{type: function, function: {name}}`.", param="tool_choice"
            )
