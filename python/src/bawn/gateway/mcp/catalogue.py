"""What a client is told of the tools. Written by hand and short: every assistant sends it with every request."""

from typing import Any, Final

import msgspec
from mcp_types import Tool

from bawn.contracts.record import ToolName

DEFAULT_TOKENS: Final = 6000
"""About the most that one answer takes of the model's context, unless the call says otherwise."""
MAP_TOKENS: Final = 2000


class SearchArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `search_code`."""

    query: str
    repo: str | None = None
    path: str | None = None
    language: str | None = None
    limit: int = 8
    max_tokens: int = DEFAULT_TOKENS


class DocumentArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `search_docs` and `search_libraries`."""

    query: str
    repo: str | None = None
    limit: int = 8
    max_tokens: int = DEFAULT_TOKENS


class SymbolArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `find_symbol`."""

    name: str
    repo: str | None = None
    path: str | None = None
    limit: int = 10
    max_tokens: int = DEFAULT_TOKENS


class GrepArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `grep`."""

    pattern: str
    repo: str | None = None
    path: str | None = None
    ignore_case: bool = False
    limit: int = 50
    max_tokens: int = DEFAULT_TOKENS


class ReadArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `read_file`."""

    repo: str
    path: str
    start_line: int = 1
    end_line: int | None = None
    max_tokens: int = DEFAULT_TOKENS


class MapArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `repo_map`."""

    repo: str
    path: str | None = None
    max_tokens: int = MAP_TOKENS


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `list_indexes`."""


def _tool(name: ToolName, description: str, required: list[str], /, **properties: str | tuple[str, str]) -> Tool:
    described = {
        key: {"type": kind} if isinstance(kind, str) else {"type": kind[0], "description": kind[1]}
        for key, kind in properties.items()
    }
    schema: dict[str, Any] = {"type": "object", "properties": described, "required": required}
    return Tool(name=name, description=description, input_schema=schema)


_PATH: Final = ("string", "folder, file or glob")

TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool
    for tool in (
        _tool(
            "search_code",
            "Search the team's code by identifiers or words; gives chunks with path:line.",
            ["query"],
            query="string",
            repo="string",
            path=_PATH,
            language="string",
            limit="integer",
            max_tokens="integer",
        ),
        _tool(
            "find_symbol",
            "Where a name is defined, then where it is used.",
            ["name"],
            name=("string", "like Pool.acquire"),
            repo="string",
            path=_PATH,
            limit="integer",
            max_tokens="integer",
        ),
        _tool(
            "grep",
            "Lines of indexed files that match an RE2 regular expression.",
            ["pattern"],
            pattern="string",
            repo="string",
            path=_PATH,
            ignore_case="boolean",
            limit="integer",
            max_tokens="integer",
        ),
        _tool(
            "read_file",
            "Read lines of an indexed file.",
            ["repo", "path"],
            repo="string",
            path="string",
            start_line="integer",
            end_line="integer",
            max_tokens="integer",
        ),
        _tool(
            "repo_map",
            "Outline of a repository: its files and their most used names.",
            ["repo"],
            repo="string",
            path=_PATH,
            max_tokens="integer",
        ),
        _tool(
            "search_docs",
            "Search the team's documents.",
            ["query"],
            query="string",
            repo=("string", "collection"),
            limit="integer",
            max_tokens="integer",
        ),
        _tool(
            "search_libraries",
            "Search documentation of the libraries that the code uses.",
            ["query"],
            query="string",
            repo=("string", "library"),
            limit="integer",
            max_tokens="integer",
        ),
        _tool("list_indexes", "Which repositories and documents can be searched.", []),
    )
}
