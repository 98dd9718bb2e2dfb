"""One request finds its upstream: healthy first, least to do first, the next one when that fails before its answer.

A backend that is restarting is waited for: that costs its clients time, not an error.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping
from typing import Final

import httpx

from bawn.contracts.errors import ModelNotFound, Overloaded, TokenRefused, Unavailable, UpstreamBroken
from bawn.contracts.record import RequestRecord
from bawn.gateway.auth.permissions import EVERYTHING, Permissions
from bawn.gateway.relay.backend import TOKEN_REFUSED, Backend
from bawn.gateway.relay.catalogue import Catalogue
from bawn.gateway.relay.health import HealthChecks

_RETRY_AFTER_S: Final = 5.0
_REFUSALS: Final = (Overloaded.status, Unavailable.status)
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 2.0
_MAX_BROKEN: Final = 3
"""A backend that dies of a request must not be killed by it again and again."""


class Router:
    """Knows which backends serve a model, and asks those that have not said so yet."""

    def __init__(self, catalogue: Catalogue, checks: HealthChecks) -> None:
        self.catalogue = catalogue
        self._checks = checks

    async def find(self, name: str, permissions: Permissions = EVERYTHING) -> str:
        """The model behind `name`, which at least one backend serves.

        Raises:
            Forbidden: it isn't among the caller's `permissions`.
            ModelNotFound: nobody serves it.
            Unavailable: nobody is known to, but an upstream that could not be asked so far may.
        """
        model = self.catalogue.resolve(name)
        if not self.catalogue.serving(model):
            await self._checks.check(self.catalogue.unlisted())
        if self.catalogue.serving(model):
            permissions.check_model(model)
            return model
        if self.catalogue.unlisted():
            raise Unavailable(
                "An upstream that may serve this model can't be reached; try again.", retry_after=_RETRY_AFTER_S
            )
        raise ModelNotFound(name, self.catalogue.names(permissions))

    def attempt(self, model: str, record: RequestRecord, *, wait_s: float = 0.0) -> "Attempt":
        """Routing of one request for `model`; see `Attempt` for `wait_s`."""
        return Attempt(self.catalogue.serving(model), record, wait_s=wait_s)


class Attempt:
    """The tries that one request makes; holds a place in its backend's count until `release`."""

    def __init__(self, candidates: list[Backend], record: RequestRecord, *, wait_s: float = 0.0) -> None:
        """Prepare; a backend that was well within the last `wait_s` seconds is waited for as long as it is so."""
        self._candidates = candidates
        self._record = record
        self._wait_s = wait_s
        self._broken = 0
        self._held: Backend | None = None

    async def send(self, path: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """The answer of the first backend that takes the request, its body unread.

        A backend that can't be reached, dies before its first byte, or answers 429 or 503 is passed over. When none is
        left and one of them may be restarting, all are asked again a little later, since nothing of an answer has been
        passed on yet. Else the last 429 or 503 is the client's.

        Raises:
            Unavailable: no backend gave any answer.
            TokenRefused: none took the request, and one refused the gateway's token.
            UpstreamTimeout: a backend took the request, and `first_byte_s` has passed.
        """
        pause = _FIRST_PAUSE_S
        while True:
            try:
                response = await self._round(path, headers, body)
                if response.status_code != Unavailable.status or not self._may_return():
                    return response
                await response.aclose()
            except Unavailable:
                if not self._may_return():
                    raise
            self.release()
            # Requests that wait for the same backend must not come back in step.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _may_return(self) -> bool:
        """Whether a backend is worth waiting for, and this request isn't what it dies of."""
        return self._broken < _MAX_BROKEN and any(backend.was_well(self._wait_s) for backend in self._candidates)

    async def _round(self, path: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """Ask each backend once, with the outcome that `send` tells of."""
        refusal: tuple[Backend, httpx.Response] | None = None
        token_refused: Backend | None = None
        try:
            for backend in self._in_turn():
                try:
                    response = await backend.upstream.send("POST", path, headers=headers, body=body)
                except (Unavailable, UpstreamBroken) as error:
                    self._broken += isinstance(error, UpstreamBroken)
                    backend.failed(error.code)
                    continue
                if response.status_code in TOKEN_REFUSED:
                    await response.aclose()
                    backend.failed(TokenRefused.code)
                    token_refused = backend
                    continue
                if response.status_code not in _REFUSALS:
                    backend.succeeded()
                    return response
                if response.status_code == Unavailable.status:
                    backend.failed(Unavailable.code)
                if refusal is not None:
                    await refusal[1].aclose()
                refusal = (backend, response)
            if refusal is None and token_refused is not None:
                raise TokenRefused(token_refused.name)
            if refusal is None:
                raise Unavailable("No upstream that serves this model can be reached.", retry_after=_RETRY_AFTER_S)
            (backend, answer), refusal = refusal, None
            self._record.upstream = backend.name
            answer.headers.setdefault("retry-after", str(round(_RETRY_AFTER_S)))
            return answer
        finally:
            if refusal is not None:
                await refusal[1].aclose()

    def _in_turn(self) -> Iterator[Backend]:
        left = list(self._candidates)
        while left:
            # Looked at anew each time: health and counts change while a try lasts. A sick one comes last but it
            # comes, since what is known of it may be one interval old.
            backend = min(left, key=lambda b: (b.healthy is False, b.in_flight, b.asked))
            left.remove(backend)
            self._hold(backend)
            yield backend

    def _hold(self, backend: Backend) -> None:
        self.release()
        self._held = backend
        backend.in_flight += 1
        backend.asked += 1
        self._record.attempts += 1
        self._record.upstream = backend.name

    def release(self) -> None:
        """The request has ended."""
        if self._held is not None:
            self._held.in_flight -= 1
            self._held = None
