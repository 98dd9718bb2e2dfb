"""Taking a delivery: checked, not seen before, the indexer told, remembered."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from bawn.contracts.errors import Conflict, InvalidRequest, NotFound, Overloaded, Unavailable
from bawn.gateway.webhooks.deliveries import Deliveries, write_whole
from bawn.gateway.webhooks.forges import Forge, Headers, check_delivery
from bawn.gateway.webhooks.settings import WebhookSettings
from bawn.service.http import decode_request
from bawn.service.logs import event

_log = logging.getLogger("bawn.gateway.webhooks")


class _Push(msgspec.Struct, frozen=True):
    """What every forge's push has."""

    ref: str


_MOST_AT_ONCE: Final = 8
_PUSH: Final = msgspec.json.Decoder(_Push)


class WebhookReceiver:
    """Deliveries of the forges that the settings name."""

    def __init__(self, settings: WebhookSettings, secret: str) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self._secret = secret
        self._forges = frozenset(settings.forges)
        self._trigger = settings.trigger_path
        self._deliveries = Deliveries(settings.deliveries_path)
        self._under_way = 0
        self._one_at_a_time = threading.Lock()

    def __repr__(self) -> str:
        return f"WebhookReceiver({sorted(self._forges)}, secret=***)"

    def accepts(self, forge: str) -> Forge:
        """The forge of that name.

        Raises:
            NotFound: deliveries of it are not taken here.
        """
        for known in self._forges:
            if known == forge:
                return known
        raise NotFound("This gateway takes no webhooks of this forge.")

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """One of the few places for deliveries that are read: whoever sends may be anybody.

        Raises:
            Overloaded: all are taken.
        """
        if self._under_way >= _MOST_AT_ONCE:
            raise Overloaded("The gateway takes as many deliveries at once as it may; try again.", retry_after=5)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def receive(self, forge: Forge, headers: Headers, body: bytes) -> bool:
        """Take one delivery; whether it was a push, of which the indexer has then been told.

        Raises:
            Unauthorized, InvalidRequest: see `check_delivery`; a push whose body is no push, too.
            Conflict: this delivery was taken before.
            Unavailable: the indexer can't be told; the forge may send the delivery again.
        """
        delivery = check_delivery(forge, headers, body, self._secret)
        if not delivery.push:
            return False
        _check_push(body)
        await asyncio.to_thread(self._take, forge, delivery.id, body)
        return True

    def _take(self, forge: Forge, told: str, body: bytes) -> None:
        with self._one_at_a_time:  # a delivery that comes twice at once is taken once
            if (forge, told, body) in self._deliveries:
                raise Conflict("This delivery was taken before.")
            try:
                # Told first: a delivery that is remembered and was not acted on could never be sent again.
                write_whole(self._trigger, b"")
                self._deliveries.add(forge, told, body)
            except OSError as error:
                event(_log, "push_not_passed_on", level=logging.ERROR, forge=forge, errno=error.errno)
                raise Unavailable("The push can't be passed on to the indexer now.", retry_after=60) from error
        event(_log, "push", forge=forge)


def _check_push(body: bytes) -> None:
    try:
        decode_request(body, _PUSH)
    except InvalidRequest as error:
        # The decoder's words may quote the body.
        raise InvalidRequest("A push is a JSON object with a `ref`: set the webhook's content type to JSON.") from error
