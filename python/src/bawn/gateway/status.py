"""`/health`, `/ready` and `/metrics`, for service managers and monitoring.

They need no key: they tell configured names and counts, never content, and the tailnet decides who reaches the port.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import FromQuery
from prometheus_client import CONTENT_TYPE_LATEST

from bawn import __version__
from bawn.contracts.errors import InvalidRequest, Unavailable
from bawn.contracts.health import Health, Part, Ready
from bawn.gateway.metrics import Metrics
from bawn.gateway.relay.backend import Backend


class Readiness:
    """Whether requests can be answered: one upstream at least, and the index where there is one."""

    def __init__(self, backends: Sequence[Backend], index_ready: Callable[[], bool] | None) -> None:
        self._backends = backends
        self._index_ready = index_ready

    async def now(self, needs: Sequence[str] = ()) -> Ready:
        """The state of every part. `needs` names upstreams without which it isn't ready, whatever others there are.

        Raises:
            InvalidRequest: there is no upstream of that name.
        """
        known = [backend.name for backend in self._backends]
        if strange := [name for name in needs if name not in known]:
            raise InvalidRequest(
                f"There is no upstream {', '.join(strange)}; there are {', '.join(known)}.", param="needs"
            )
        parts = [Part(b.name, b.healthy is True, b.error) for b in self._backends]
        ready = any(part.ok for part in parts) and all(part.ok for part in parts if part.name in needs)
        if self._index_ready is not None:
            indexed = await asyncio.to_thread(self._index_ready)
            parts.append(Part("index", indexed, None if indexed else Unavailable.code))
            ready = ready and indexed
        return Ready(ready, parts)


@get("/health")
async def health() -> Health:
    """The process lives."""
    return Health("ready", __version__)


@get("/ready")
async def ready(state: State, needs: FromQuery[list[str] | None] = None) -> Response[Ready]:
    """200 when requests can be answered, else 503; either way with every part.

    `?needs=NAME`, once or more, asks for these upstreams, too: a host's own test of a new configuration is stricter
    than what a client needs.
    """
    readiness: Readiness = state.readiness
    answer = await readiness.now(needs or ())
    return Response(answer, status_code=200 if answer.ready else 503)


@get("/metrics")
async def metrics(state: State) -> Response[bytes]:
    """Prometheus' text format."""
    counted: Metrics = state.metrics
    return Response(counted.text(), headers={"content-type": CONTENT_TYPE_LATEST})


ROUTES: Final[list[Any]] = [health, ready, metrics]
