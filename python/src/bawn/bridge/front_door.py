"""What every request passes before the bridge looks at it: the access rules."""

from collections.abc import Callable
from typing import Any, Final

from litestar.types import ASGIApp, Receive, Scope, Send

from bawn.bridge.access import Access
from bawn.contracts.errors import RequestError, encode_openai
from bawn.contracts.record import RequestRecord, Surface

_SURFACES: Final[dict[str, Surface]] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/fim/completions": "fim",
    "/v1/embeddings": "embeddings",
    "/v1/models": "models",
    "/mcp": "mcp",
    "/health": "health",
    "/ready": "health",
}


def surface_of(path: str) -> Surface:
    """The API that a path belongs to, for the record."""
    return _SURFACES.get(path, "other")


class FrontDoor:
    """An ASGI app that refuses what `access` refuses and passes the rest on.

    It stands before routing, so that a foreign page can't even learn which paths exist.
    """

    def __init__(self, app: ASGIApp, *, access: Access, on_end: Callable[[RequestRecord], None]) -> None:
        self._app = app
        self._access = access
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a lifespan event."""
        if scope["type"] == "http":
            headers: dict[bytes, list[bytes]] = {}
            for name, value in scope["headers"]:
                headers.setdefault(name.lower(), []).append(value)
            error = self._access.refusal(scope["path"], headers)
            if error is not None:
                self._on_end(RequestRecord(surface=surface_of(scope["path"]), status=error.status, error=error.code))
                await _refuse(error, send)
                return
        await self._app(scope, receive, send)


async def _refuse(error: RequestError, send: Send) -> None:
    body = encode_openai(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # The rest of an unread body must not be taken for the next request.
        (b"connection", b"close"),
    ]
    start: Any = {"type": "http.response.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
