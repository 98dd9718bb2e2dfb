"""`POST /webhooks/<forge>`: no API key, since the forge's signature is one."""

import asyncio
from typing import Any, Final

from litestar import Request, Response, post
from litestar.datastructures import State

from bawn.contracts.errors import InvalidRequest, NotFound, RequestTooLarge
from bawn.gateway.ledger import Ledger
from bawn.gateway.webhooks.receiving import WebhookReceiver
from bawn.relay.body import discard_body

_BODY_S: Final = 10.0


@post("/webhooks/{forge:str}", status_code=202)
async def webhook(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """202 for a push that was passed on, 204 for every other event."""
    receiver: WebhookReceiver | None = state.webhooks
    ledger: Ledger = state.ledger
    entry = ledger.begin("webhook")
    try:
        if receiver is None:
            raise NotFound("This gateway takes no webhooks.")
        known = receiver.accepts(str(request.path_params["forge"]))
        async with receiver.place():
            body = await _body(request, receiver.max_body_bytes)
            entry.record.bytes_in = len(body)
            pushed = await receiver.receive(known, request.headers, body)
    except BaseException as error:
        entry.fail(error)
        raise
    status = 202 if pushed else 204
    entry.end(status=status)
    return Response(b"", status_code=status)


async def _body(request: Request[Any, Any, Any], most: int) -> bytes:
    """The body; a longer one is never held in memory, whatever its Content-Length says."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    break
            else:
                return bytes(body)
    except TimeoutError as error:
        raise InvalidRequest(f"The delivery did not come whole within {_BODY_S:g} s.") from error
    await discard_body(request)
    raise RequestTooLarge("The delivery is larger than this gateway takes.")


ROUTES: Final[list[Any]] = [webhook]
