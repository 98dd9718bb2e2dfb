"""A real HTTP/1.1 server with OpenAI's surface whose every answer a test writes, failures of the socket included.

It is written on raw sockets, because what tests need of it (half a chunk and then nothing, a socket that closes while
it promises keep-alive) is what HTTP libraries are there to prevent.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

DONE = b"data: [DONE]\n\n"


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection that it came on is closed by the other side."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Die:
    """A step of a reply: reset the connection."""


Step = bytes | asyncio.Event | Die
"""Bytes are one chunk on the wire; an event is waited for; `Die` resets the connection."""


@dataclass
class Reply:
    status: int = 200
    steps: Sequence[Step] = ()
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    close_after: bool = False
    """Close the socket after the answer although keep-alive was promised, as llama-server does."""
    die_at_once: bool = False
    """Reset the connection instead of answering."""
    hang: bool = False
    """Never answer."""
    raw_tail: bytes = b""
    """Bytes written as they are after the steps, then the connection is reset: half an HTTP chunk, say."""


Handler = Callable[[Received], Reply | Awaitable[Reply]]


def sse(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chat_chunk(delta: dict[str, Any], finish: str | None = None, model: str = "scripted") -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]})


def chat_steps(texts: Iterable[str]) -> list[Step]:
    """A streamed chat answer, one chunk a text."""
    steps: list[Step] = [chat_chunk({"role": "assistant", "content": ""})]
    steps += [chat_chunk({"content": text}) for text in texts]
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    end = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": [],
        "usage": usage,
    }
    return [*steps, chat_chunk({}, "stop"), sse(end), DONE]


def tool_call_steps(name: str, arguments: dict[str, Any], call_id: str = "call_1") -> list[Step]:
    """A streamed chat answer that calls one tool, its arguments in two pieces as models send them."""
    text = json.dumps(arguments)
    half = len(text) // 2
    call = {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in (text[:half], text[half:])]
    return [
        chat_chunk({"role": "assistant", "content": None, "tool_calls": [call]}),
        *(chat_chunk({"tool_calls": [piece]}) for piece in pieces),
        chat_chunk({}, "tool_calls"),
        DONE,
    ]


def completion_steps(texts: Iterable[str]) -> list[Step]:
    """A streamed text completion."""

    def chunk(text: str, finish: str | None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": finish}
        return sse({"id": "t1", "object": "text_completion", "created": 1, "model": "scripted", "choices": [choice]})

    return [*(chunk(text, None) for text in texts), chunk("", "stop"), DONE]


def json_reply(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, [json.dumps(data).encode()], "application/json", headers or {})


def default_handler(request: Received) -> Reply:
    """What a plain, healthy server would say."""
    if request.path == "/health":
        return json_reply({"status": "ok"})
    if request.path == "/v1/models":
        return json_reply(
            {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 0, "owned_by": "test"}]}
        )
    streams = request.body and request.json.get("stream")
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    if request.path == "/v1/chat/completions":
        if streams:
            return Reply(steps=chat_steps(["Hello", " from", " here."]))
        message = {"role": "assistant", "content": "Hello from here."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return json_reply(
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": "scripted",
                "choices": [choice],
                "usage": usage,
            }
        )
    if request.path == "/v1/completions":
        if streams:
            return Reply(steps=completion_steps(["mid", "dle"]))
        choice = {"index": 0, "text": "middle", "finish_reason": "stop"}
        return json_reply(
            {
                "id": "t1",
                "object": "text_completion",
                "created": 1,
                "model": "scripted",
                "choices": [choice],
                "usage": usage,
            }
        )
    if request.path == "/v1/embeddings":
        return json_reply(
            {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "scripted"}
        )
    return json_reply({"error": {"message": "no such path"}}, 404)


class ScriptedUpstream:
    """The server; `script` sets what it answers from the next request on."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.port = 0
        self._handler: Handler = default_handler
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *replies: Reply | Handler) -> None:
        """Answer inference requests with these, in turn, the last one for good; `/health` and `/v1/models` stay.

        A callable gets the `Received` and returns the `Reply`.
        """
        queue = list(replies)

        def handler(request: Received) -> Reply | Awaitable[Reply]:
            if request.method == "GET":
                return default_handler(request)
            reply = queue.pop(0) if len(queue) > 1 else queue[0]
            return reply if isinstance(reply, Reply) else reply(request)

        self._handler = handler

    def handle(self, handler: Handler) -> None:
        """Answer every request, health checks too, with `handler`."""
        self._handler = handler

    @property
    def posts(self) -> list[Received]:
        return [request for request in self.requests if request.method == "POST"]

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and reset every connection, as a killed process does."""
        if self._server is not None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        writer.transport.set_write_buffer_limits(high=0)  # `drain` waits until all is on the wire
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Received(method, path, headers, body)
        self.requests.append(request)
        reply = self._handler(request)
        if not isinstance(reply, Reply):
            reply = await reply
        if reply.die_at_once:
            return False
        watch = asyncio.ensure_future(self._until_closed(reader, request))
        try:
            return await self._answer(reply, writer, request)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    @staticmethod
    async def _until_closed(reader: asyncio.StreamReader, request: Received) -> None:
        # Clients of tests don't pipeline: the first thing that comes is the end of the connection.
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                if reader._buffer:  # type: ignore[attr-defined]  # the next request on this connection
                    return
                await reader._wait_for_data("until_closed")  # type: ignore[attr-defined]
        request.client_left.set()

    async def _answer(self, reply: Reply, writer: asyncio.StreamWriter, request: Received) -> bool:
        if reply.hang:
            await request.client_left.wait()
            return False
        head = {"content-type": reply.content_type, "transfer-encoding": "chunked", **reply.headers}
        lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode())
        for step in reply.steps:
            if isinstance(step, asyncio.Event):
                await writer.drain()
                waits = [asyncio.ensure_future(step.wait()), asyncio.ensure_future(request.client_left.wait())]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
                if request.client_left.is_set():
                    return False
            elif isinstance(step, Die):
                await writer.drain()
                return False
            else:
                writer.write(f"{len(step):x}\r\n".encode() + step + b"\r\n")
                await writer.drain()
        if reply.raw_tail:
            writer.write(reply.raw_tail)
            await writer.drain()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return not reply.close_after


@contextlib.asynccontextmanager
async def scripted_upstream(port: int = 0) -> AsyncIterator[ScriptedUpstream]:
    """A running server; stopped, with every connection reset, when the block ends."""
    upstream = ScriptedUpstream()
    await upstream.start(port)
    try:
        yield upstream
    finally:
        await upstream.stop()
