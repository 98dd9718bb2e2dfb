"""A gateway of a test: a scripted OpenAI server with the `mcp` SDK's own server beside it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from litestar.types import ASGIApp, Receive, Scope, Send
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from bawn.service.serving import running
from support.ports import free_port
from support.scripted_upstream import ScriptedUpstream, scripted_upstream

CHUNK = {
    "repo": "bawn",
    "path": "src/limits.py",
    "start_line": 10,
    "end_line": 13,
    "language": "python",
    "text": "def check_rate_limit(key):\n    if bucket(key).empty():\n        raise Overloaded()\n    return key",
    "symbols": ["check_rate_limit"],
}


@dataclass
class Gateway:
    url: str
    openai: ScriptedUpstream
    searches: list[tuple[str, int]] = field(default_factory=list)
    """Query and limit of each call of `search_code`."""
    keys: set[str] = field(default_factory=set)
    """Values of `authorization` that came to /mcp."""


def _search_server(gateway: Gateway, chunks: list[dict[str, Any]] | None) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("bawn")
    if chunks is not None:

        @server.tool(description="Search the team's code.")
        def search_code(query: str, limit: int = 8) -> dict[str, Any]:
            gateway.searches.append((query, limit))
            if query == "break":
                raise ValueError("the index is broken")
            return {"chunks": chunks[:limit]}

    return server


@contextlib.asynccontextmanager
async def scripted_gateway(
    chunks: list[dict[str, Any]] | None = None, *, port: int | None = None
) -> AsyncIterator[Gateway]:
    """A running gateway; without any tool where `chunks` is None."""
    async with scripted_upstream() as openai, httpx.AsyncClient(base_url=openai.url, trust_env=False) as onward:
        served = Gateway(f"http://127.0.0.1:{port or free_port()}", openai)
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        mcp: Any = _search_server(served, chunks).streamable_http_app(transport_security=security)
        app = _beside(mcp, onward, served)
        # granian runs no lifespan inside a test's loop for an app that is not Litestar's: the SDK's is run here.
        async with mcp.router.lifespan_context(mcp), running(app, "127.0.0.1", int(served.url.rsplit(":", 1)[1])):
            yield served


def _beside(mcp: ASGIApp, onward: httpx.AsyncClient, served: Gateway) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            assert message["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["type"] == "http"
        headers = dict(scope["headers"])
        if scope["path"] == "/mcp":
            served.keys.add(headers.get(b"authorization", b"").decode())
            await mcp(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")  # type: ignore[attr-defined]
            if not message.get("more_body"):
                break
        async with onward.stream(scope["method"], scope["path"], content=body) as answer:
            kind = answer.headers["content-type"].encode()
            start = {"type": "http.response.start", "status": answer.status_code, "headers": [(b"content-type", kind)]}
            await send(start)  # type: ignore[arg-type]
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app
