"""Asking upstreams how they are and what they serve."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import httpx
import msgspec

from bawn.contracts.errors import RequestError, TokenRefused, Unavailable, UpstreamBroken, UpstreamTimeout
from bawn.gateway.relay.backend import TOKEN_REFUSED, Backend, Served
from bawn.service.logs import event

_log = logging.getLogger("bawn.gateway.health")

_MAX_ANSWER_BYTES: Final = 1024 * 1024
_CHECK_S: Final = 5.0
_NO_SUCH_PATH: Final = (404, 405, 501)


class _Model(msgspec.Struct, frozen=True):
    id: str
    context_length: int | None = None  # ours, and several others
    max_model_len: int | None = None  # vLLM
    meta: dict[str, Any] | None = None  # llama-server
    fim: bool | None = None
    embedding_length: int | None = None


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]


_MODELS = msgspec.json.Decoder(_Models)


class HealthChecks:
    """Checks every backend at once, again and again; what routing sees is never older than one interval."""

    def __init__(self, backends: Sequence[Backend], interval_s: float) -> None:
        self._backends = backends
        self._interval_s = interval_s
        self._under_way: dict[str, asyncio.Task[None]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Check while the block runs; the first round is under way when it is entered."""
        task = asyncio.create_task(self._rounds(), name="health checks")
        try:
            yield
        finally:
            every = [task, *self._under_way.values()]
            for each in every:
                each.cancel()
            await asyncio.wait(every)

    async def _rounds(self) -> None:
        while True:
            await self.check(self._backends)
            await asyncio.sleep(self._interval_s)

    async def check(self, backends: Sequence[Backend]) -> None:
        """Check these now; a check that is under way is waited for instead of doubled."""
        await asyncio.gather(*(asyncio.shield(self._one(b)) for b in backends))

    def _one(self, backend: Backend) -> asyncio.Task[None]:
        task = self._under_way.get(backend.name)
        if task is None or task.done():
            task = asyncio.create_task(self._check(backend), name=f"health of {backend.name}")
            self._under_way[backend.name] = task
        return task

    async def _check(self, backend: Backend) -> None:
        before = backend.healthy
        try:
            async with asyncio.timeout(_CHECK_S):
                await _ask(backend)
        except TimeoutError:
            backend.failed(UpstreamTimeout.code)
        except RequestError as error:
            backend.failed(error.code)
        except Exception as error:  # noqa: BLE001 - one check that fails must not end the checking
            _log.error("health_check_broken", exc_info=error)
            backend.failed(UpstreamBroken.code)
        else:
            backend.succeeded()
        if backend.healthy != before:
            level = logging.INFO if backend.healthy else logging.WARNING
            event(_log, "upstream", level=level, upstream=backend.name, healthy=backend.healthy, error=backend.error)


async def _ask(backend: Backend) -> None:
    status, _ = await _get(backend, "/health")
    if status not in _NO_SUCH_PATH and status >= 300:
        raise Unavailable("not ready")
    listed, answer = await _get(backend, "/v1/models")
    if listed in TOKEN_REFUSED:
        raise TokenRefused(backend.name)
    if listed >= 300:
        if status not in _NO_SUCH_PATH and backend.fixed:
            return  # healthy by its own word, and the settings know what it serves
        raise UpstreamBroken("does not list its models")
    try:
        models = _MODELS.decode(answer).data
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UpstreamBroken("lists its models in no form that we know") from error
    backend.lists([Served(m.id, _context_length(m), m.fim, m.embedding_length) for m in models])


def _context_length(model: _Model) -> int | None:
    meta = model.meta or {}
    told = (model.context_length, model.max_model_len, meta.get("n_ctx"), meta.get("n_ctx_train"))
    return next((n for n in told if isinstance(n, int) and n > 0), None)


async def _get(backend: Backend, path: str) -> tuple[int, bytes]:
    response = await backend.upstream.send("GET", path)
    try:
        body = bytearray()
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
        async for chunk in response.stream:
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES:
                raise UpstreamBroken("answers without end")
        return response.status_code, bytes(body)
    finally:
        await response.aclose()
