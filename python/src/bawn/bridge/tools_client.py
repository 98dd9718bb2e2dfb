"""The search tools behind a bridge, called as an assistant calls them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp.client import Client


class ToolsUnreachable(Exception):
    """The endpoint does not answer, or not as MCP wants it."""


@asynccontextmanager
async def tools(bridge_url: str, token: str, within_s: float) -> "AsyncGenerator[Client]":
    """The MCP client of a bridge, which waits so many seconds for each answer.

    Raises:
        ToolsUnreachable: at once or by any call in the block.
    """
    # The SDK takes a second to import, which whoever comes to an end before this does without.
    import httpx2
    from mcp import MCPError
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    headers = {"authorization": f"Bearer {token}"}
    try:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=within_s, trust_env=False) as http,
            Client(
                streamable_http_client(f"{bridge_url}/mcp", http_client=http), read_timeout_seconds=within_s
            ) as client,
        ):
            yield client
    except (MCPError, httpx2.HTTPError, ExceptionGroup, OSError) as error:
        raise ToolsUnreachable from error
