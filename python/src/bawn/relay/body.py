"""Reading a request's body: bounded, and checked before anything is passed on."""

import asyncio
import contextlib
import re
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from bawn.contracts.errors import InvalidRequest, RequestTooLarge
from bawn.service.http import decode_request

MAX_DEPTH: Final = 64
"""Deeper JSON than any client sends; recursive parsers further down are not to be tried out."""

_THREAD_BYTES: Final = 256 * 1024
_DISCARD_BYTES: Final = 256 * 1024 * 1024
_DISCARD_S: Final = 10.0
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_OPENING: Final = frozenset((b"[", b"{"))
_CLOSING: Final = frozenset((b"]", b"}"))


def check_depth(body: bytes, max_depth: int = MAX_DEPTH) -> None:
    """Raise `InvalidRequest` where objects and arrays nest deeper than `max_depth`."""
    depth = 0
    for match in _NESTING.finditer(body):
        token = match.group()
        if token in _OPENING:
            depth += 1
            if depth > max_depth:
                raise InvalidRequest(f"The body is nested deeper than {max_depth} levels.")
        elif token in _CLOSING:
            depth -= 1


async def read_body(request: Request[Any, Any, Any], max_depth: int = MAX_DEPTH) -> bytes:
    """The whole body; the app's `request_max_body_size` bounds it.

    Raises:
        InvalidRequest: nested too deep.
        RequestTooLarge: more than the bound.
    """
    try:
        body = await request.body()
    except RequestEntityTooLarge as error:
        await discard_body(request)
        raise RequestTooLarge("The request body is larger than this server takes.") from error
    if len(body) > _THREAD_BYTES:
        await asyncio.to_thread(check_depth, body, max_depth)  # other streams go on meanwhile
    else:
        check_depth(body, max_depth)
    return body


async def discard_body(request: Request[Any, Any, Any]) -> None:
    """Read the rest of a body that nobody wants, within bounds, before the request is refused.

    A server that answers and closes while the client is still sending resets the connection, and the client never
    sees the answer.
    """
    if "expect" in request.headers:
        return  # the client asks before it sends, and the refusal is its answer
    left = _DISCARD_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_S):
            while left > 0:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


class Head(msgspec.Struct, frozen=True):
    """What routing needs to know of a body."""

    model: str
    stream: bool = False


_HEAD = msgspec.json.Decoder(Head)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def head(body: bytes) -> Head:
    """Decode the routing fields.

    Raises:
        InvalidRequest: not a JSON object, no `model`, or a field of the wrong type.
    """
    return decode_request(body, _HEAD)


def with_model(body: bytes, model: str) -> bytes:
    """The same body for another model name; every other field keeps its bytes.

    Raises:
        InvalidRequest: not a JSON object.
    """
    fields = decode_request(body, _FIELDS)
    return msgspec.json.encode({**fields, "model": model})
