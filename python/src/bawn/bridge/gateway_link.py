"""The way to the one gateway: its key, and patience while it restarts."""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Final

import httpx
import msgspec

from bawn.contracts.errors import RequestError, Unauthorized, Unavailable, UpstreamBroken
from bawn.contracts.openai import ModelCard, ModelList
from bawn.contracts.record import RequestRecord
from bawn.relay.timeouts import Timeouts
from bawn.relay.upstream import Upstream
from bawn.service.logs import event

_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 2.0
_MAX_BROKEN: Final = 3
"""A gateway that dies of a request must not be killed by it again and again."""
_MAX_MODELS_BYTES: Final = 4 * 1024 * 1024

_log = logging.getLogger("bawn.bridge")


class GatewayLink:
    """Sends requests to the gateway with this laptop's API key."""

    def __init__(self, url: str, key: str, *, key_file: str, wait_s: float, timeouts: Timeouts) -> None:
        self.url = url
        self._key_file = key_file
        self._wait_s = wait_s
        self._upstream = Upstream("gateway", url, token=key, timeouts=timeouts)

    def __repr__(self) -> str:
        return f"GatewayLink({self.url!r})"

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, record: RequestRecord
    ) -> httpx.Response:
        """Send one request, again and again while the gateway can't be reached, up to the wait time.

        Nothing of an answer has been passed on yet, so that a restart costs the client time, not an error.

        Raises:
            Unauthorized: the gateway refused this laptop's key.
            Unavailable: the gateway did not come back in time.
            UpstreamBroken, UpstreamTimeout: it took the request and did not answer it.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._wait_s
        wait = _FIRST_WAIT_S
        broken = 0
        record.upstream = self._upstream.name
        while True:
            record.attempts += 1
            try:
                return await self._accepted(await self._upstream.send(method, path, headers=headers, body=body))
            except Unavailable:
                if record.attempts == 1:
                    event(_log, "gateway_unreachable", level=logging.WARNING, waiting_s=self._wait_s)
            except UpstreamBroken:
                broken += 1
                if broken >= _MAX_BROKEN:
                    raise
            left = deadline - clock()
            if left <= 0:
                raise Unavailable(
                    f"The gateway at {self.url} could not be reached for {self._wait_s:g} s: is this laptop on the "
                    "team's network? The bridge's status page in a browser shows what it sees.",
                    retry_after=5,
                )
            # Laptops that wait for the same gateway must not come back in step.
            await asyncio.sleep(min(left, wait * random.uniform(0.75, 1.25)))  # noqa: S311 - no secret
            wait = min(wait * 2, _LONGEST_WAIT_S)

    async def _accepted(self, response: httpx.Response) -> httpx.Response:
        if response.status_code != 401:
            return response
        await response.aclose()
        raise self._refused()

    def _refused(self) -> RequestError:
        return Unauthorized(
            f"The gateway at {self.url} refused this laptop's API key in {self._key_file}: "
            "ask whoever runs the gateway for a new one (`bawn keys add`). The bridge's own token is right."
        )

    async def models(self, within_s: float) -> list[ModelCard]:
        """The gateway's models, asked once.

        Raises:
            RequestError: there is no answer within `within_s` seconds, or none that can be read.
        """
        try:
            async with asyncio.timeout(within_s):
                response = await self._upstream.send("GET", "/v1/models")
                try:
                    body = await _read(response, _MAX_MODELS_BYTES)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise Unavailable("The gateway did not answer in time.") from error
        except (httpx.TransportError, OSError) as error:
            raise UpstreamBroken("The gateway's answer broke off.") from error
        if response.status_code == 401:
            raise self._refused()
        if response.status_code != 200:
            raise UpstreamBroken(f"The gateway answered with status {response.status_code}.")
        try:
            return msgspec.json.decode(body, type=ModelList).data
        except msgspec.DecodeError as error:
            raise UpstreamBroken("The gateway's list of models can't be read.") from error

    async def aclose(self) -> None:
        """Close every connection."""
        await self._upstream.aclose()


async def _read(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
    async for chunk in stream:
        body += chunk
        if len(body) > limit:
            raise UpstreamBroken("The gateway's answer is too large.")
    return bytes(body)
