"""Search through the gateway's MCP tools, as an assistant would do it."""

from typing import Final

import msgspec

from bawn.bridge.local_client import BridgeUnusable
from bawn.bridge.tools_client import ToolsUnreachable, tools
from bawn.contracts.search import MOST_TOKENS, Chunk, SearchResult

_TOOL: Final = "search_code"
_TIMEOUT_S: Final = 90.0
"""Longer than the bridge waits for a gateway that restarts."""


async def search_code(question: str, *, url: str, token: str, limit: int) -> list[Chunk]:
    """The best `limit` chunks for `question`.

    Raises:
        BridgeUnusable: the gateway has no index, or search failed there.
    """
    try:
        async with tools(url, token, _TIMEOUT_S) as client:
            listed = await client.list_tools()
            offered = any(tool.name == _TOOL for tool in listed.tools)
            # What fits before the question is chosen here, by the model's context.
            asked = {"query": question, "limit": limit, "max_tokens": MOST_TOKENS}
            result = await client.call_tool(_TOOL, asked) if offered else None
    except ToolsUnreachable as error:
        raise BridgeUnusable(
            f"Search failed: {url}/ shows whether the bridge reaches the gateway; --no-search asks without it."
        ) from error
    if result is None:
        raise _no_index()
    if result.is_error:
        said = next((block.text for block in result.content if block.type == "text"), "")
        raise BridgeUnusable(f"Search failed: {said.strip() or 'the gateway gave no reason'}")
    try:
        return msgspec.convert(result.structured_content, SearchResult).chunks
    except msgspec.ValidationError as error:
        raise BridgeUnusable(
            "The gateway's search result can't be read: gateway and bridge differ in version."
        ) from error


def _no_index() -> BridgeUnusable:
    return BridgeUnusable(
        "The gateway has no code index yet: add repositories there with `bawn index add` and `bawn index run`, "
        "or ask with --no-search."
    )
