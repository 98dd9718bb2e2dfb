"""The bridge as an ASGI app."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from litestar import Request, Response, get, route
from litestar.types import ASGIApp

from bawn import __version__
from bawn.bridge.access import Access, loopback_hosts
from bawn.bridge.front_door import FrontDoor, surface_of
from bawn.bridge.gateway_link import GatewayLink
from bawn.bridge.history import History
from bawn.bridge.listening import until_stopping
from bawn.bridge.page import HEADERS, PageData, render
from bawn.bridge.settings import BridgeSettings
from bawn.contracts.errors import MethodNotAllowed, NotFound, RequestError
from bawn.contracts.health import Health, Part, Ready
from bawn.contracts.record import RequestRecord, Surface
from bawn.relay.body import head, read_body
from bawn.relay.dialects import CHAT, COMPLETION, Dialect
from bawn.relay.response import RelayResponse
from bawn.service.http import error_response, make_app

_POST: Final[Mapping[str, Dialect | None]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/fim/completions": CHAT,  # Mistral's chunks are shaped like chat's
    "/v1/embeddings": None,
}
_SERVED: Final = (*(f"POST {path}" for path in _POST), "GET /v1/models", "/mcp")
_FORWARDED: Final = frozenset(("accept", "content-type", "last-event-id", "x-session-id", "x-session-affinity"))
_FORWARDED_PREFIX: Final = "mcp-"


def _forwarded(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {
        name: value
        for name, value in request.headers.items()
        if name in _FORWARDED or name.startswith(_FORWARDED_PREFIX)
    }


class _Relay:
    """Passes requests on to the gateway as they are."""

    def __init__(self, link: GatewayLink, history: History, settings: BridgeSettings, stopping: asyncio.Event) -> None:
        self._link = link
        self._history = history
        self._settings = settings
        self._stopping = stopping

    async def pass_on(self, request: Request[Any, Any, Any], dialect: Dialect | None) -> RelayResponse:
        """The relay of one request; its body is read and, where it is to be streamed, looked at first."""
        record = RequestRecord(surface=surface_of(request.url.path))
        model = ""
        try:
            body = await read_body(request)
            record.bytes_in = len(body)
            if dialect is not None:
                routing = head(body)
                model, dialect = routing.model, dialect if routing.stream else None
        except RequestError as error:
            record.status, record.error = error.status, error.code
            self._history.note(record)
            raise
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = _forwarded(request)
        method = str(request.method)
        listens = method == "GET" and record.surface == "mcp"

        async def connect() -> httpx.Response:
            answer = await self._link.send(method, path, headers=headers, body=body, record=record)
            return until_stopping(answer, self._stopping) if listens else answer

        return RelayResponse(
            connect,
            dialect=dialect,
            model=model,
            record=record,
            on_end=self._history.note,
            timeouts=self._settings.timeouts,
            keepalive_s=self._settings.keepalive_s,
        )


def _refuse(history: History, surface: Surface, error: RequestError) -> Response[bytes]:
    history.note(RequestRecord(surface=surface, status=error.status, error=error.code))
    return error_response(error)


def _handlers(relay: _Relay, link: GatewayLink, history: History, settings: BridgeSettings) -> list[Any]:
    @route(list(_POST), http_method=["POST"], status_code=200)
    async def answers(request: Request[Any, Any, Any]) -> RelayResponse:
        return await relay.pass_on(request, _POST[request.url.path])

    @get("/v1/models")
    async def models(request: Request[Any, Any, Any]) -> RelayResponse:
        return await relay.pass_on(request, None)

    @route("/mcp", http_method=["GET", "POST", "DELETE"], status_code=200)
    async def mcp(request: Request[Any, Any, Any]) -> RelayResponse:
        return await relay.pass_on(request, None)

    @route(
        ["/v1", "/v1/{rest:path}"],
        http_method=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
        status_code=200,
    )
    async def nothing_here(request: Request[Any, Any, Any]) -> Response[bytes]:
        here = surface_of(request.url.path)
        if here != "other":
            return _refuse(history, here, MethodNotAllowed("This path does not take this method."))
        served = ", ".join(_SERVED)
        return _refuse(history, here, NotFound(f"The bridge does not serve this path. It serves: {served}."))

    @get("/health", sync_to_thread=False)
    def health() -> Health:
        return Health("ready", __version__)

    @get("/ready")
    async def ready() -> Response[Ready]:
        error = None
        try:
            await link.models(settings.probe_s)
        except RequestError as refused:
            error = refused.code
        part = Part("gateway", error is None, error)
        return Response(Ready(part.ok, [part]), status_code=200 if part.ok else 503)

    @route("/", http_method=["GET", "HEAD"], media_type="text/html", status_code=200)
    async def page() -> Response[str]:
        known, problem = None, None
        try:
            known = await link.models(settings.probe_s)
        except RequestError as error:
            problem = error
        data = PageData(settings=settings, models=known, problem=problem, history=history)
        return Response(render(data), headers=HEADERS, media_type="text/html")

    return [answers, models, mcp, nothing_here, health, ready, page]


def make_bridge(
    settings: BridgeSettings,
    *,
    key: str,
    token: str,
    note: Callable[[RequestRecord], None] | None = None,
    stopping: asyncio.Event | None = None,
) -> ASGIApp:
    """The bridge.

    Args:
        settings: as `bawn.bridge.settings.load` gives them.
        key: the gateway's API key, with which the bridge replaces what clients send.
        token: of this installation; clients send it as a bearer token or as `x-api-key`.
        note: gets the record of every request too.
        stopping: when it is set, streams that only listen (`GET /mcp`) end.
    """
    history = History(also=note)
    link = GatewayLink(
        settings.gateway_url,
        key,
        key_file=settings.key_file,
        wait_s=settings.gateway_wait_s,
        timeouts=settings.timeouts,
    )
    app = make_app(
        _handlers(_Relay(link, history, settings, stopping or asyncio.Event()), link, history, settings),
        max_body_bytes=settings.max_body_mib * 1024 * 1024,
    )
    app.on_shutdown.append(link.aclose)
    access = Access(loopback_hosts(settings.port, settings.allowed_hosts), token)
    return FrontDoor(app, access=access, on_end=history.note)
