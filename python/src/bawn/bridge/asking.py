"""A question about the team's code: search, a prompt that fits the model, and its streamed answer."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import httpx
import msgspec

from bawn.bridge.local_client import (
    BridgeUnusable,
    client_for,
    error_of,
    explained,
    fetch_models,
    no_answer,
    not_running,
)
from bawn.bridge.prompting import Prompt, compose
from bawn.bridge.searching import search_code
from bawn.contracts.errors import ContextLengthExceeded
from bawn.contracts.openai import ModelCard, Usage
from bawn.contracts.search import Chunk

_TRIES: Final = 3
_ANSWER_TOKENS: Final = 1024
_UNKNOWN_CONTEXT: Final = 8192


class Found(msgspec.Struct, frozen=True):
    """What the search found, best first; empty where nothing was searched."""

    chunks: list[Chunk]


class Text(msgspec.Struct, frozen=True):
    """A piece of the answer, as it came."""

    text: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the answer."""

    model: str
    sources: list[Chunk]
    """The chunks that were put before the question: those that fitted."""
    usage: Usage | None
    first_token_s: float
    """From the chat request to the answer's first text."""
    tokens_per_s: float | None
    """After the first token; None where the answer is too short to tell."""


Event = Found | Text | Done


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta = _Delta()


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    usage: Usage | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class _TooLong(Exception):
    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


async def ask(
    question: str,
    *,
    url: str,
    token: str,
    model: str | None = None,
    limit: int = 6,
    search: bool = True,
    code_tokens: int = 4000,
    max_tokens: int = _ANSWER_TOKENS,
    read_s: float = 600.0,
) -> AsyncGenerator[Event]:
    """Answer `question` through the bridge at `url`: one `Found`, the `Text`s, one `Done`.

    Args:
        question: what to ask, in words.
        url: base URL of the bridge.
        token: the bridge's token.
        model: the first that the gateway offers where None.
        limit: most chunks to find.
        search: whether to search at all.
        code_tokens: most tokens of code to put before the question.
        max_tokens: most tokens of the answer.
        read_s: longest silence, in seconds, that is waited for.

    Raises:
        BridgeUnusable: bridge or gateway can't be reached or refuse, there is no index, or the answer broke off.
    """
    async with client_for(url, token, read_s=read_s) as client:
        card = _chosen(await fetch_models(client), model)
        found = await search_code(question, url=url, token=token, limit=limit) if search else []
        yield Found(found)
        context = card.context_length or _UNKNOWN_CONTEXT
        room = min(max_tokens, max(context // 4, 64))
        budget = min(code_tokens, context - room)
        for tries_left in reversed(range(_TRIES)):
            prompt = compose(question, found, budget)
            try:
                async with aclosing(_answer(client, url, card.id, prompt, room)) as events:
                    async for event in events:
                        yield event
                return
            except _TooLong as error:
                if not tries_left or not prompt.used:
                    raise BridgeUnusable(
                        f"The question doesn't fit {card.id}: "
                        f"{ContextLengthExceeded(error.prompt_tokens, error.context_tokens).message}"
                    ) from error
                # The model has counted; our estimate was off by this much.
                fits = (error.context_tokens - room) / max(1, error.prompt_tokens)
                budget = int(min(budget, prompt.tokens) * min(fits, 0.9) * 0.9)


def _chosen(cards: list[ModelCard], model: str | None) -> ModelCard:
    if not cards:
        raise BridgeUnusable("The gateway offers no model.")
    if model is None:
        return cards[0]
    for card in cards:
        if card.id == model:
            return card
    raise BridgeUnusable(f"The gateway offers no model {model}; it offers: {', '.join(card.id for card in cards)}.")


async def _answer(
    client: httpx.AsyncClient, url: str, model: str, prompt: Prompt, max_tokens: int
) -> AsyncGenerator[Text | Done]:
    body = {
        "model": model,
        "messages": prompt.messages,
        "max_tokens": max_tokens,
        "temperature": 0.2,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started = time.monotonic()
    first = last = 0.0
    pieces = 0
    usage: Usage | None = None
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                raise _failure(answer.status_code, await answer.aread(), url)
            async for chunk in _chunks(answer, url):
                usage = chunk.usage or usage
                text = "".join(choice.delta.content or "" for choice in chunk.choices)
                if text:
                    last = time.monotonic()
                    first = first or last
                    pieces += 1
                    yield Text(text)
    except httpx.ConnectError as error:
        raise not_running(url) from error
    except httpx.TransportError as error:
        raise no_answer(url) from error
    tokens = usage.completion_tokens if usage else pieces
    yield Done(
        model=model,
        sources=prompt.used,
        usage=usage,
        first_token_s=round((first or time.monotonic()) - started, 4),
        tokens_per_s=round((tokens - 1) / (last - first), 2) if tokens > 1 and last > first else None,
    )


async def _chunks(answer: httpx.Response, url: str) -> AsyncIterator[_Chunk]:
    async for line in answer.aiter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            return
        if error_of(data.encode()).message:
            raise _failure(answer.status_code, data.encode(), url)
        try:
            yield _CHUNK.decode(data)
        except msgspec.DecodeError as error:
            raise BridgeUnusable(
                "The answer can't be read: the model server does not speak OpenAI's dialect."
            ) from error
    raise BridgeUnusable("The answer broke off before it was complete.")


def _failure(status: int, body: bytes, url: str) -> Exception:
    error = error_of(body)
    if error.code == ContextLengthExceeded.code:
        return _TooLong(error.n_prompt_tokens or 2 * _UNKNOWN_CONTEXT, error.n_ctx or _UNKNOWN_CONTEXT)
    return explained(status, body, url)
