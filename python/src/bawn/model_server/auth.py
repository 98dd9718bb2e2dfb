"""The bearer token that the gateway shows."""

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from bawn.contracts.errors import Unauthorized


class BearerGuard:
    """A Litestar guard that takes one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def __repr__(self) -> str:
        return "BearerGuard(***)"

    def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Let the request through.

        Raises:
            Unauthorized: it carries no token, or another.
        """
        scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), self._token):
            raise Unauthorized("This model server wants its bearer token in the Authorization header.")
