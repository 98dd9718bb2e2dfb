"""Who is at a remote address, remembered for a moment."""

import asyncio
import ipaddress
import logging
import time
from dataclasses import dataclass
from typing import Final

from bawn.contracts.errors import IdentityUnknown
from bawn.gateway.auth.local_api import LocalApi, Peer
from bawn.service.logs import event
from bawn.service.tailnet import in_tailnet

_log = logging.getLogger("bawn.gateway.auth")

FRESH_S: Final = 0.5
"""A node that was taken out of the tailnet, and a laptop that changed hands, count within a second."""
_MOST: Final = 1024


@dataclass(frozen=True)
class _Question:
    at: float
    """When it was asked; an answer may be as old as that."""
    answer: asyncio.Task[Peer | None]


class Whois:
    """Asks tailscaled once for all requests of one node that come within `fresh_s`. Refusals are not remembered."""

    def __init__(self, local_api: LocalApi, *, fresh_s: float = FRESH_S, most: int = _MOST) -> None:
        """`most`: how many nodes are remembered."""
        self._local_api = local_api
        self._fresh_s = fresh_s
        self._most = most
        self._questions: dict[str, _Question] = {}
        """Oldest first."""
        self._answers = True

    async def peer(self, address: str, port: int) -> Peer | None:
        """The node behind a remote address of a connection; None: none of the tailnet.

        Raises:
            IdentityUnknown: tailscaled can't tell.
        """
        address = _plain(address)
        # An address of the tailnet is one node's, whatever the port. Connections that a tailscaled without an interface
        # passes on all come from loopback, and only the port tells them apart.
        who = address if in_tailnet(address) else f"{address} {port}"
        now = time.monotonic()
        question = self._questions.get(who)
        if question is None or now - question.at >= self._fresh_s:
            question = _Question(now, asyncio.create_task(self._local_api.whois(address, port)))
            question.answer.add_done_callback(lambda done: self._ended(who, done))
            self._questions.pop(who, None)
            self._make_room(now)
            self._questions[who] = question
        # A client that leaves must not take the answer from the others who wait for it.
        return await asyncio.shield(question.answer)

    def _make_room(self, now: float) -> None:
        while self._questions:
            oldest, question = next(iter(self._questions.items()))
            if len(self._questions) < self._most and now - question.at < self._fresh_s:
                return
            del self._questions[oldest]

    def _ended(self, who: str, done: asyncio.Task[Peer | None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None or done.cancelled() or done.result() is None:
            question = self._questions.get(who)
            if question is not None and question.answer is done:
                del self._questions[who]
        answers = not isinstance(error, IdentityUnknown)
        if answers != self._answers and not done.cancelled():
            self._answers = answers
            name = "tailscaled_answers" if answers else "tailscaled_unusable"
            event(_log, name, level=logging.INFO if answers else logging.ERROR)

    async def aclose(self) -> None:
        """End what is under way."""
        pending = [question.answer for question in self._questions.values() if not question.answer.done()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._local_api.aclose()


def _plain(address: str) -> str:
    """An IPv4 address that an IPv6 socket shows as `::ffff:…`, as itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
