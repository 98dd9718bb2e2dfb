"""What the generation surfaces have in common, and what sets each of them apart."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx
from litestar import Request
from litestar.exceptions import InternalServerException

from bawn.contracts.errors import RequestError
from bawn.contracts.hints import URGENCY, USER
from bawn.contracts.record import RequestRecord, Surface
from bawn.gateway.auth.gate import Gate
from bawn.gateway.ledger import Ledger
from bawn.gateway.relay import fim
from bawn.gateway.relay.routing import Router
from bawn.gateway.relay.urgency import urgency
from bawn.relay.body import discard_body, head, read_body, with_model
from bawn.relay.dialects import CHAT, COMPLETION, Dialect
from bawn.relay.response import RelayResponse
from bawn.relay.timeouts import Timeouts

_PASSED_ON: Final = (
    "accept",
    "content-type",
    "traceparent",
    "x-request-id",
    "x-session-affinity",
    "x-session-id",
)
"""Client headers that an upstream gets; its credentials are never among them."""


@dataclass(frozen=True)
class GenerationSurface:
    """One API that is relayed."""

    name: Surface
    path: str
    """Of the upstream."""
    dialect: Dialect | None
    """Of its streams."""
    request: Callable[[bytes], bytes] | None = None
    """Changes a body to what the upstream's path takes."""
    answer: Callable[[bytes], bytes] | None = None
    events: Callable[[bytes], bytes] | None = None
    waits: bool = True
    """For an upstream that is restarting; nobody wants a completion for what they have typed since."""


SURFACES: Final = {
    "/v1/chat/completions": GenerationSurface("chat", "/v1/chat/completions", CHAT),
    "/v1/completions": GenerationSurface("completions", "/v1/completions", COMPLETION),
    "/v1/fim/completions": GenerationSurface(
        "fim", "/v1/completions", CHAT, request=fim.to_completion, answer=fim.answer, events=fim.events, waits=False
    ),
    "/v1/embeddings": GenerationSurface("embeddings", "/v1/embeddings", None),
}
"""By the path that clients call."""


class Relay:
    """Takes a request from its key to its upstream."""

    def __init__(
        self,
        gate: Gate,
        ledger: Ledger,
        router: Router,
        *,
        timeouts: Timeouts,
        keepalive_s: float,
        upstream_wait_s: float,
    ) -> None:
        self._gate = gate
        self._ledger = ledger
        self._router = router
        self._timeouts = timeouts
        self._keepalive_s = keepalive_s
        self._upstream_wait_s = upstream_wait_s

    async def serve(self, request: Request[Any, Any, Any], surface: GenerationSurface) -> RelayResponse:
        """The answer, still to be relayed.

        Raises:
            RequestError: the request is refused before an upstream hears of it.
        """
        entry = self._ledger.begin(surface.name)
        record = entry.record
        try:
            try:
                permissions = await self._gate.admit(request.scope, record)
                self._ledger.admit()
            except RequestError:
                await discard_body(request)
                raise
            try:
                body = await read_body(request)
            except InternalServerException:  # what Litestar raises when the client leaves in the middle of its body
                record.cancelled = True
                raise
            record.bytes_in = len(body)
            asked = head(body)
            model = await self._router.find(asked.model, permissions)
            record.model = model
            if surface.request is not None:
                body = surface.request(body)
            if model != asked.model:
                body = with_model(body, model)
        except BaseException as error:
            entry.fail(error)
            raise
        attempt = self._router.attempt(model, record, wait_s=self._upstream_wait_s if surface.waits else 0.0)
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        headers |= _hints(surface.name, body, headers, record)
        streams = asked.stream and surface.dialect is not None

        async def connect() -> httpx.Response:
            return await attempt.send(surface.path, headers, body)

        def ended(_: RequestRecord) -> None:
            attempt.release()
            entry.end()

        return RelayResponse(
            connect,
            dialect=surface.dialect if streams else None,
            model=asked.model,
            record=record,
            on_end=ended,
            timeouts=self._timeouts,
            keepalive_s=self._keepalive_s,
            transform=surface.events if streams else surface.answer,
        )


def _hints(surface: Surface, body: bytes, headers: dict[str, str], record: RequestRecord) -> dict[str, str]:
    """What our own model server may use, and others ignore. The user's name is not among it."""
    told = urgency(surface, body, headers)
    who = record.user or record.key or ""
    hints = {USER: hashlib.sha256(who.encode()).hexdigest()[:16]} if who else {}
    return hints | ({URGENCY: told} if told else {})
