"""One embeddings request over HTTP: answers it, and cancels it the moment the client leaves."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from litestar import Request
from litestar.types import Receive, Scope, Send

from bawn.contracts.errors import InternalError, RequestError, UpstreamTimeout, encode_openai
from bawn.contracts.record import RequestRecord
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.embedding.job import EmbeddingJob
from bawn.model_server.embedding.served import ServedEmbedder
from bawn.model_server.metrics import Metrics
from bawn.relay.body import read_body
from bawn.service.logs import record as log_record

_log = logging.getLogger("bawn.model_server")


class EmbeddingExchange:
    """An ASGI response."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        *,
        engine: EmbeddingEngine,
        served: Callable[[], ServedEmbedder],
        metrics: Metrics,
        timeout_s: float,
    ) -> None:
        self._request = request
        self._engine = engine
        self._served = served
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._record = RequestRecord(surface="embeddings")
        self._job: EmbeddingJob | None = None
        self._started = monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        try:
            try:
                body = await read_body(self._request)
            except RequestError as error:
                await self._fail(error, send)
                return
            self._record.bytes_in = len(body)
            serving = asyncio.create_task(self._serve(body, send))
            leaving = asyncio.create_task(_left(receive))
            try:
                await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
                self._record.cancelled = not serving.done()
            finally:
                # Whoever was slower; also when this task itself is cancelled at shutdown.
                serving.cancel()
                leaving.cancel()
                if self._job is not None:
                    self._engine.cancel(self._job)
                await asyncio.wait({serving, leaving})
            if not serving.cancelled():
                serving.result()
        finally:
            self._finish()

    async def _serve(self, body: bytes, send: Send) -> None:
        try:
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._answer(body)
                    await self._respond(send, 200, answer, {"content-type": "application/json"})
            except TimeoutError as error:
                raise UpstreamTimeout(f"The request took longer than {self._timeout_s:g} s.") from error
            except RequestError:
                raise
            except OSError:
                return  # the connection is gone, and `_left` says so
            except Exception as error:
                _log.error("unexpected_error", exc_info=error)
                raise InternalError from error
        except RequestError as error:
            await self._fail(error, send)

    async def _answer(self, body: bytes) -> bytes:
        served = self._served()
        self._record.model = served.name
        # Many texts take a while to be tokenized, and as many vectors to be written: streams must not wait for it.
        work = await asyncio.to_thread(served.read, body)
        self._record.prompt_tokens = work.tokens
        self._job = self._engine.submit(work.inputs)
        return await asyncio.to_thread(served.answer, work, await self._job.vectors())

    async def _fail(self, error: RequestError, send: Send) -> None:
        self._record.error = error.code
        headers = {"content-type": "application/json", **error.headers}
        await self._respond(send, error.status, encode_openai(error), headers)

    async def _respond(self, send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._record.status = status
        self._record.bytes_out = len(body)
        headers = {**headers, "content-length": str(len(body))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})  # pyright: ignore[reportArgumentType]
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _finish(self) -> None:
        record = self._record
        record.total_s = round(monotonic() - self._started, 4)
        if self._job is not None and self._job.begun is not None:
            record.queue_s = round(self._job.begun - self._job.submitted, 4)
        self._metrics.count(record)
        log_record(_log, "request", record)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
