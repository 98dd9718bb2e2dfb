"""Errors to HTTP, in one place, for every Litestar app of ours."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import msgspec
from litestar import Litestar, MediaType, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from bawn.contracts.errors import BY_STATUS, InternalError, InvalidRequest, RequestError, encode_openai

B = TypeVar("B")
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[Any]]

_log = logging.getLogger("bawn.service.http")

_PLAIN: Final[Mapping[int, str]] = {
    404: "Nothing is served at this path.",
    405: "This path does not take this method.",
    413: "The request body is larger than this server takes.",
}


def error_response(error: RequestError) -> Response[bytes]:
    """The error as a response in the OpenAI dialect."""
    return Response(encode_openai(error), status_code=error.status, headers=error.headers, media_type=MediaType.JSON)


def _request_error(_: Request[Any, Any, Any], error: RequestError) -> Response[bytes]:
    return error_response(error)


def _http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    # Litestar's own message may quote the request; ours are fixed.
    kind = BY_STATUS.get(error.status_code)
    if kind is None:
        kind = InvalidRequest if error.status_code < 500 else InternalError
    if kind is InternalError:
        return error_response(InternalError())
    return error_response(kind(_PLAIN.get(error.status_code, "The request can't be served as it is.")))


def _unexpected(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("unexpected_error", exc_info=error)
    return error_response(InternalError())


EXCEPTION_HANDLERS: Final[dict[Any, Any]] = {
    RequestError: _request_error,
    HTTPException: _http_exception,
    Exception: _unexpected,
}


def decode_request(body: bytes, decoder: msgspec.json.Decoder[B]) -> B:
    """Decode a JSON body.

    Raises:
        InvalidRequest: not JSON, nested too deep, or a field of the wrong type; names the field.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, key = str(error).partition(" - at `$")
        key = key.rstrip("`").lstrip(".") or None
        raise InvalidRequest(f"{message}{f' at `{key}`' if key else ''}.", param=key) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deep.") from error


def make_app(
    handlers: Sequence[Any], *, max_body_bytes: int, lifespan: Sequence[Lifespan] = (), **state: object
) -> Litestar:
    """A Litestar app with our errors, a bounded body, `state` for its handlers, and nothing that we don't use.

    Each of `lifespan` is entered before the first request and left after the last one.
    """
    return Litestar(
        route_handlers=handlers,
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=max_body_bytes,
        state=State(state),
        lifespan=list(lifespan),
        openapi_config=None,
        logging_config=None,  # Litestar's would replace the content-free formatter
    )
