"""The tools: what a client is told of them, and how a call is answered."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec
from mcp_types import CallToolResult, TextContent, Tool

from bawn.contracts.errors import BawnError, InternalError, InvalidRequest, RequestError
from bawn.contracts.record import RequestRecord
from bawn.contracts.search import FileSlice, Index, SearchResult
from bawn.gateway.auth.permissions import Permissions

_log = logging.getLogger("bawn.gateway.mcp")

A = TypeVar("A", bound=msgspec.Struct)

_INDEX: Final[Index] = "code"
"""What all of them look into."""
_ANSWER_TOKENS: Final = 6000
"""About the most that one answer takes of the model's context."""


class CodeIndex(Protocol):
    """What the tools need of the search index (`bawn.search.tools.CodeSearch`)."""

    def search_code(
        self, query: str, repo: str | None = None, path: str | None = None, language: str | None = None, limit: int = 8
    ) -> SearchResult:
        """The best chunks for a query."""
        ...

    def read_file(self, repo: str, path: str, start_line: int = 1, end_line: int | None = None) -> FileSlice:
        """Lines of an indexed file."""
        ...

    def ready(self) -> bool:
        """Whether there is an index to answer from."""
        ...


Render = Callable[[SearchResult, int], str]
"""Chunks as text for a model, within a budget of tokens."""


class _SearchArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    query: str
    repo: str | None = None
    path: str | None = None
    language: str | None = None
    limit: int = 8


class _ReadArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    repo: str
    path: str
    start_line: int = 1
    end_line: int | None = None


def _schema(required: list[str], **properties: str | tuple[str, str]) -> dict[str, Any]:
    described = {
        name: {"type": kind} if isinstance(kind, str) else {"type": kind[0], "description": kind[1]}
        for name, kind in properties.items()
    }
    return {"type": "object", "properties": described, "required": required}


# Written by hand and short: every assistant sends these to its model with every request.
TOOLS: Final = [
    Tool(
        name="search_code",
        description="Search the team's code by identifiers or words; gives chunks with path:line.",
        input_schema=_schema(
            ["query"],
            query="string",
            repo="string",
            path=("string", "folder, file or glob"),
            language="string",
            limit="integer",
        ),
    ),
    Tool(
        name="read_file",
        description="Read lines of a file that search_code found.",
        input_schema=_schema(["repo", "path"], repo="string", path="string", start_line="integer", end_line="integer"),
    ),
]


class Tools:
    """Answers calls from the index; a failure is an answer too, with its reason and without its innards."""

    def __init__(self, index: CodeIndex | None, render: Render) -> None:
        self._index = index
        self._render = render

    def listed(self, permissions: Permissions) -> list[Tool]:
        """The tools of the indexes that there are and that the caller may look into."""
        return [] if self._index is None or not permissions.has_index(_INDEX) else TOOLS

    async def call(
        self, name: str, arguments: dict[str, Any], record: RequestRecord, permissions: Permissions
    ) -> CallToolResult:
        """Answer one call; `record` gets the tool's name, if it is one of ours, and the error class."""
        try:
            return await self._call(name, arguments, record, permissions)
        except RequestError as error:
            record.error = error.code
            return _failed(error.message)
        except BawnError as error:
            record.error = InternalError.code
            return _failed(str(error))
        except Exception as error:  # noqa: BLE001 - the top of a call: the client gets an answer, the log no content
            _log.error("tool_failed", exc_info=error)
            record.error = InternalError.code
            return _failed("The tool failed.")

    async def _call(
        self, name: str, arguments: dict[str, Any], record: RequestRecord, permissions: Permissions
    ) -> CallToolResult:
        index = self._index
        if index is None:
            raise InvalidRequest("No index is configured on this gateway.")
        if name in (tool.name for tool in TOOLS):
            permissions.check_index(_INDEX)
        if name == "search_code":
            record.tool = "search_code"
            asked = _arguments(arguments, _SearchArguments)
            found = await asyncio.to_thread(
                index.search_code, asked.query, asked.repo, asked.path, asked.language, asked.limit
            )
            return _answer(self._render(found, _ANSWER_TOKENS), found)
        if name == "read_file":
            record.tool = "read_file"
            wanted = _arguments(arguments, _ReadArguments)
            lines = await asyncio.to_thread(
                index.read_file, wanted.repo, wanted.path, wanted.start_line, wanted.end_line
            )
            head = f"{lines.repo} {lines.path}:{lines.start_line}-{lines.end_line} of {lines.total_lines}"
            return _answer(f"{head}\n{lines.text}", lines)
        raise InvalidRequest(f"There is no such tool; known: {', '.join(tool.name for tool in TOOLS)}.")


def _arguments(arguments: dict[str, Any], kind: type[A]) -> A:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        message, _, key = str(error).partition(" - at `$.")
        raise InvalidRequest(f"{key.rstrip('`')}: {message}." if key else f"{message}.") from error


def _answer(text: str, structured: msgspec.Struct) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=msgspec.to_builtins(structured)
    )


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
