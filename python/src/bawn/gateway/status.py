"""`/health`, `/ready` and `/metrics`, for service managers and monitoring.

They need no key: they tell configured names and counts, never content, and the tailnet decides who reaches the port.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from litestar import Response, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_LATEST

from bawn import __version__
from bawn.contracts.errors import Unavailable
from bawn.contracts.health import Health, Part, Ready
from bawn.gateway.metrics import Metrics
from bawn.gateway.relay.backend import Backend


class Readiness:
    """Whether requests can be answered: one upstream at least, and the index where there is one."""

    def __init__(self, backends: Sequence[Backend], index_ready: Callable[[], bool] | None) -> None:
        self._backends = backends
        self._index_ready = index_ready

    async def now(self) -> Ready:
        """The state of every part."""
        parts = [Part(b.name, b.healthy is True, b.error) for b in self._backends]
        ready = any(part.ok for part in parts)
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
async def ready(state: State) -> Response[Ready]:
    """200 when requests can be answered, else 503; either way with every part."""
    readiness: Readiness = state.readiness
    answer = await readiness.now()
    return Response(answer, status_code=200 if answer.ready else 503)


@get("/metrics")
async def metrics(state: State) -> Response[bytes]:
    """Prometheus' text format."""
    counted: Metrics = state.metrics
    return Response(counted.text(), headers={"content-type": CONTENT_TYPE_LATEST})


ROUTES: Final[list[Any]] = [health, ready, metrics]
