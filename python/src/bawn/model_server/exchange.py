"""One generation over HTTP: answers it, and cancels it the moment the client leaves."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from time import monotonic
from typing import Any

from litestar import Request
from litestar.types import Receive, Scope, Send

from bawn.contracts import sse
from bawn.contracts.errors import InternalError, RequestError, UpstreamTimeout, encode_openai
from bawn.contracts.record import RequestRecord, Surface
from bawn.model_server.choices import Choices
from bawn.model_server.engine.engine import Engine
from bawn.model_server.metrics import Metrics
from bawn.model_server.prefix_guard import PrefixGuard
from bawn.model_server.served import ServedModel, Work
from bawn.relay.body import read_body
from bawn.service.logs import record as log_record

_log = logging.getLogger("bawn.model_server")


class Exchange:
    """An ASGI response. Litestar's own notices a client that leaves only while it streams; this one always."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        surface: Surface,
        *,
        engine: Engine,
        served: Callable[[], ServedModel],
        read: Callable[[ServedModel, bytes, Mapping[str, str]], Work],
        guard: PrefixGuard,
        metrics: Metrics,
        timeout_s: float,
    ) -> None:
        self._request = request
        self._engine = engine
        self._served = served
        self._read = read
        self._guard = guard
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._record = RequestRecord(surface=surface)
        self._choices: Choices | None = None
        self._started = monotonic()
        self._open = False  # the status line has gone out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        try:
            try:
                body = await read_body(self._request)
            except RequestError as error:
                self._record.error = error.code
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
                if self._choices is not None:
                    self._choices.cancel()
                await asyncio.wait({serving, leaving})
            if not serving.cancelled():
                serving.result()
        finally:
            self._finish()

    async def _serve(self, body: bytes, send: Send) -> None:
        try:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._answer(body, send)
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
            self._record.error = error.code
            await self._fail(error, send)

    async def _answer(self, body: bytes, send: Send) -> None:
        served = self._served()
        self._record.model = served.name
        # Rendering and tokenizing a long prompt takes a while, and the other streams must not wait for it.
        work = await asyncio.to_thread(self._read, served, body, self._request.headers)
        self._record.surface, self._record.streamed = work.surface, work.stream
        self._look(work)
        self._choices = choices = Choices(self._engine, work.requests)
        async with aclosing(choices.outputs()) as outputs:
            async for number, output in outputs:
                data = work.answer.push(number, output)
                if output.finish is not None:
                    data += work.answer.finish(number, output.finish)
                if data:
                    await self._pass_on(send, data)
        last = work.answer.close(choices.usage())
        if work.stream:
            await self._pass_on(send, last, more=False)
        else:
            await self._respond(send, 200, last, {"content-type": "application/json"})

    def _look(self, work: Work) -> None:
        first = work.requests[0]
        self._record.urgency = first.kind
        if first.kind == "chat" and (broken := self._guard.look(work.session, first.tokens, first.borders)):
            self._record.broken_message, self._record.broken_tokens = broken.message, broken.tokens

    async def _pass_on(self, send: Send, data: bytes, *, more: bool = True) -> None:
        if not self._open:
            # Only now: up to the first token a failure still has a status of its own.
            await self._start(send, 200, {"content-type": sse.CONTENT_TYPE, "cache-control": "no-cache"})
        await self._send(send, data, more=more)

    async def _fail(self, error: RequestError, send: Send) -> None:
        if self._open:
            await self._send(send, sse.error_event(error), more=False)
        else:
            headers = {"content-type": "application/json", **error.headers}
            await self._respond(send, error.status, encode_openai(error), headers)

    async def _respond(self, send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
        await self._start(send, status, {**headers, "content-length": str(len(body))})
        await self._send(send, body, more=False)

    async def _start(self, send: Send, status: int, headers: dict[str, str]) -> None:
        self._open = True
        self._record.status = status
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})  # pyright: ignore[reportArgumentType]

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        self._record.bytes_out += len(body)
        await send({"type": "http.response.body", "body": body, "more_body": more})

    def _finish(self) -> None:
        record = self._record
        record.total_s = round(monotonic() - self._started, 4)
        if self._choices is not None:
            usage, progress = self._choices.usage(), self._choices.generations[0].progress
            record.prompt_tokens = usage.prompt_tokens
            record.completion_tokens = usage.completion_tokens
            record.cached_tokens = usage.prompt_tokens_details.cached_tokens
            if progress.admitted is not None:
                record.queue_s = round(progress.admitted - progress.submitted, 4)
            if progress.first_token is not None:
                record.first_byte_s = round(progress.first_token - self._started, 4)
        self._metrics.count(record)
        log_record(_log, "request", record)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
