"""One client for all model servers: sends OpenAI requests, and measures what comes back as it comes."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from time import perf_counter
from typing import Any, Final

import aiohttp
import msgspec

from bench.servers import ALIAS, Dialect, Server

Message = dict[str, Any]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=600, sock_connect=5, sock_read=300)

_FED: Final[Mapping[Dialect, str]] = {
    "bawn": "bawn_model_prompt_tokens_total",
    "llama.cpp": "llamacpp:prompt_tokens_total",
    "llama-cpp-python": "",
}


class Refused(Exception):
    """The server answered with an error, or with an answer that has no end."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One streamed answer."""

    text: str
    first_s: float
    """From the request to the first text."""
    last_s: float
    """From the request to the last text."""
    prompt_tokens: int
    fed_tokens: int
    """Of the prompt, those that were decoded: the others were found in a cache."""
    tokens: int
    """Generated."""

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (self.tokens - 1) / (self.last_s - self.first_s)


class Client:
    """Of one server. Each request has a connection of its own: llama.cpp's server closes it after a stream."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.fed_tokens = 0
        """Of all answers so far."""
        self._session = aiohttp.ClientSession(
            server.url,
            timeout=_TIMEOUT,
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            read_bufsize=1 << 20,
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def chat(
        self, messages: Sequence[Message], *, max_tokens: int, tools: Sequence[Any] = (), **more: Any
    ) -> Answer:
        """A chat; `more` goes into the request as it is.

        Raises:
            Refused, aiohttp.ClientError, TimeoutError: there is no whole answer.
        """
        body = {"messages": messages, "max_tokens": max_tokens, **({"tools": tools} if tools else {}), **more}
        return await self._stream("/v1/chat/completions", body)

    async def complete(self, prompt: str, *, max_tokens: int, **more: Any) -> Answer:
        """A completion. Raises as `chat`."""
        return await self._stream("/v1/completions", {"prompt": prompt, "max_tokens": max_tokens, **more})

    async def fill(self, prefix: str, suffix: str, *, max_tokens: int) -> Answer:
        """Fill in the middle, as each server has it. Raises as `chat`."""
        if self.server.dialect == "llama.cpp":
            body: dict[str, Any] = {"input_prefix": prefix, "input_suffix": suffix, "n_predict": max_tokens}
            return await self._stream("/infill", body)
        return await self._stream("/v1/completions", {"prompt": prefix, "suffix": suffix, "max_tokens": max_tokens})

    async def whole(self, path: str, body: Mapping[str, Any]) -> Any:
        """An answer in one piece, decoded. Raises as `chat`."""
        async with self._session.post(path, json={"model": ALIAS, "temperature": 0, **body}) as answer:
            if answer.status != 200:
                raise Refused(f"status {answer.status}: {(await answer.text())[:200]}")
            return await answer.json(content_type=None)

    async def idle_slots(self) -> int:
        """Slots that have nothing to do. Raises as `chat`."""
        async with self._session.get("/slots") as answer:
            slots = await answer.json(content_type=None)
        return sum(slot.get("state") == "idle" or slot.get("is_processing") is False for slot in slots)

    async def counted_fed(self) -> float:
        """Prompt tokens fed in all, as the server's own metrics have it. Raises as `chat`."""
        return await self.counter(_FED[self.server.dialect])

    async def counter(self, name: str) -> float:
        """The value of a metric without labels; 0 where there is none. Raises as `chat`."""
        async with self._session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    async def _stream(self, path: str, body: dict[str, Any]) -> Answer:
        body = {"model": ALIAS, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}, **body}
        started = perf_counter()
        first = last = 0.0
        texts: list[str] = []
        counts: _Counts = _Counts()
        async with self._session.post(path, json=body) as answer:
            if answer.status != 200:
                raise Refused(f"status {answer.status}: {(await answer.text())[:200]}")
            async for event in _events(answer):
                counts.read(event)
                if text := _text(event):
                    last = perf_counter() - started
                    first = first or last
                    texts.append(text)
        if not texts:
            raise Refused("the answer is empty")
        self.fed_tokens += counts.prompt - counts.cached
        return Answer(
            text="".join(texts),
            first_s=first,
            last_s=last,
            prompt_tokens=counts.prompt,
            fed_tokens=counts.prompt - counts.cached,
            tokens=counts.generated or len(texts),
        )


class _Counts:
    prompt = cached = generated = 0

    def read(self, event: Mapping[str, Any]) -> None:
        if usage := event.get("usage"):
            self.prompt, self.generated = usage["prompt_tokens"], usage["completion_tokens"]
            self.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        elif timings := event.get("timings"):  # llama.cpp's /infill has no usage
            self.prompt, self.cached = timings["prompt_n"] + timings["cache_n"], timings["cache_n"]
            self.generated = timings["predicted_n"]


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if "error" in event:
            raise Refused(str(event["error"])[:200])
        yield event


def _text(event: Mapping[str, Any]) -> str:
    """What of an event a person sees first: text, reasoning or a call of a tool."""
    for choice in event.get("choices") or ():
        if text := choice.get("text"):
            return str(text)
        delta = choice.get("delta") or {}
        for key in ("content", "reasoning_content"):
            if delta.get(key):
                return str(delta[key])
        if calls := delta.get("tool_calls"):
            return "".join(str(call.get("function", {}).get("arguments", "")) for call in calls) or " "
    return str(event.get("content") or "")
