"""How a call of a tool is answered: from the indexes that the caller may look into, and from no others."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from mcp_types import CallToolResult, TextContent, Tool

from bawn.contracts.errors import BawnError, InternalError, InvalidRequest, RequestError
from bawn.contracts.record import RequestRecord, ToolName
from bawn.contracts.search import MOST_TOKENS, Index, IndexListing
from bawn.gateway.auth.permissions import Permissions
from bawn.gateway.mcp.catalogue import (
    DEFAULT_TOKENS,
    TOOLS,
    DocumentArguments,
    GrepArguments,
    MapArguments,
    NoArguments,
    ReadArguments,
    SearchArguments,
    SymbolArguments,
)
from bawn.search.budget import (
    cut_chunks,
    cut_listing,
    cut_matches,
    cut_outline,
    cut_slice,
    cut_symbol,
)
from bawn.search.rendering import (
    render_chunks,
    render_listing,
    render_matches,
    render_outline,
    render_slice,
    render_symbol,
)
from bawn.search.repositories import unknown_repository
from bawn.search.tools import IndexSearch

_log = logging.getLogger("bawn.gateway.mcp")

A = TypeVar("A", bound=msgspec.Struct)

Indexes = Mapping[Index, IndexSearch]
"""Those that the gateway has, made or not yet."""


class Answer(NamedTuple):
    """What a call brings: for the model to read, and for programs; each within the call's budget."""

    text: str
    structured: msgspec.Struct


class _Searcher:
    """The indexes as one caller sees them. Methods block; what they raise is told to the model."""

    def __init__(self, indexes: Indexes, permissions: Permissions) -> None:
        self._indexes = indexes
        self._permissions = permissions

    def search_code(self, asked: SearchArguments) -> Answer:
        found = self._index("code").search(asked.query, asked.repo, asked.path, asked.language, asked.limit)
        found = cut_chunks(found, _bounded(asked.max_tokens))
        return Answer(render_chunks(found), found)

    def search_docs(self, asked: DocumentArguments) -> Answer:
        return self._documents("docs", asked)

    def search_libraries(self, asked: DocumentArguments) -> Answer:
        return self._documents("libraries", asked)

    def _documents(self, index: Index, asked: DocumentArguments) -> Answer:
        found = self._index(index).search(asked.query, asked.repo, limit=asked.limit)
        found = cut_chunks(found, _bounded(asked.max_tokens))
        return Answer(render_chunks(found), found)

    def find_symbol(self, asked: SymbolArguments) -> Answer:
        found = self._index("code").find_symbol(asked.name, asked.repo, asked.path, asked.limit)
        found = cut_symbol(found, _bounded(asked.max_tokens))
        return Answer(render_symbol(found), found)

    def grep(self, asked: GrepArguments) -> Answer:
        index = self._having(asked.repo) if asked.repo else self._index("code")
        found = index.grep(asked.pattern, asked.repo, asked.path, asked.limit, ignore_case=asked.ignore_case)
        found = cut_matches(found, _bounded(asked.max_tokens))
        return Answer(render_matches(found), found)

    def read_file(self, asked: ReadArguments) -> Answer:
        found = self._having(asked.repo).read_file(asked.repo, asked.path, asked.start_line, asked.end_line)
        found = cut_slice(found, _bounded(asked.max_tokens))
        return Answer(render_slice(found), found)

    def repo_map(self, asked: MapArguments) -> Answer:
        tokens = _bounded(asked.max_tokens)
        found = cut_outline(self._having(asked.repo).outline(asked.repo, asked.path, tokens), tokens)
        return Answer(render_outline(found), found)

    def list_indexes(self, _asked: NoArguments) -> Answer:
        found = cut_listing(IndexListing([index.content() for index in self._permitted()]), DEFAULT_TOKENS)
        return Answer(render_listing(found), found)

    def _index(self, name: Index) -> IndexSearch:
        self._permissions.check_index(name)
        if name not in self._indexes:
            raise InvalidRequest("No index is configured on this gateway.")
        return self._indexes[name]

    def _permitted(self) -> Iterator[IndexSearch]:
        return (one for name, one in self._indexes.items() if self._permissions.has_index(name) and one.exists())

    def _having(self, repo: str) -> IndexSearch:
        """The index that has the repository, of those that the caller may look into: no other is heard of."""
        known: list[str] = []
        for index in self._permitted():
            repos = index.repos()
            if repo in repos:
                return index
            known += repos
        if not known:
            return self._index("code")  # which says what is amiss
        raise unknown_repository(known, repo)


_Call = Callable[[_Searcher, Any], Answer]

_CALLS: Final[dict[ToolName, tuple[type[msgspec.Struct], _Call]]] = {
    "search_code": (SearchArguments, _Searcher.search_code),
    "find_symbol": (SymbolArguments, _Searcher.find_symbol),
    "grep": (GrepArguments, _Searcher.grep),
    "read_file": (ReadArguments, _Searcher.read_file),
    "repo_map": (MapArguments, _Searcher.repo_map),
    "search_docs": (DocumentArguments, _Searcher.search_docs),
    "search_libraries": (DocumentArguments, _Searcher.search_libraries),
    "list_indexes": (NoArguments, _Searcher.list_indexes),
}
_NAMES: Final[dict[str, ToolName]] = {name: name for name in _CALLS}
_INDEX_OF: Final[dict[ToolName, Index]] = {
    "search_code": "code",
    "find_symbol": "code",
    "repo_map": "code",
    "search_docs": "docs",
    "search_libraries": "libraries",
}
"""The one index that a tool is for; the others look into any."""


class Tools:
    """Answers calls from the indexes; a failure is an answer too, with its reason and without its innards."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def listed(self, permissions: Permissions) -> list[Tool]:
        """The tools that have something to look into for the caller: an index of code may come later."""
        there = [
            name
            for name, index in self._indexes.items()
            if permissions.has_index(name) and (name == "code" or index.exists())
        ]
        return [TOOLS[name] for name in _CALLS if (_INDEX_OF[name] in there if name in _INDEX_OF else bool(there))]

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
        if not self._indexes:
            raise InvalidRequest("No index is configured on this gateway.")
        known = _NAMES.get(name)
        if known is None:
            raise InvalidRequest(f"There is no such tool; known: {', '.join(TOOLS)}.")
        record.tool = known
        kind, call = _CALLS[known]
        asked = _arguments(arguments, kind)
        answer = await asyncio.to_thread(call, _Searcher(self._indexes, permissions), asked)
        return CallToolResult(
            content=[TextContent(type="text", text=answer.text)],
            structured_content=msgspec.to_builtins(answer.structured),
        )


def _bounded(tokens: int) -> int:
    if not 1 <= tokens <= MOST_TOKENS:
        raise InvalidRequest(f"`max_tokens` must be from 1 to {MOST_TOKENS}.", param="max_tokens")
    return tokens


def _arguments(arguments: dict[str, Any], kind: type[A]) -> A:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        message, _, key = str(error).partition(" - at `$.")
        raise InvalidRequest(f"{key.rstrip('`')}: {message}." if key else f"{message}.") from error


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
