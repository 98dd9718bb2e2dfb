"""Reading a request's body: bounded, and checked before anything is passed on."""

import asyncio
import re
from typing import Any, Final

import msgspec
from litestar import Request

from bawn.contracts.errors import InvalidRequest
from bawn.service.http import decode_request

MAX_DEPTH: Final = 64
"""Deeper JSON than any client sends; recursive parsers further down are not to be tried out."""

_THREAD_BYTES: Final = 256 * 1024
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
    """
    body = await request.body()
    if len(body) > _THREAD_BYTES:
        await asyncio.to_thread(check_depth, body, max_depth)  # other streams go on meanwhile
    else:
        check_depth(body, max_depth)
    return body


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
