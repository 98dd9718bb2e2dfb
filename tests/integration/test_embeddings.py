"""Embeddings through bridge and gateway, from a model server that generates and embeds."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bawn.contracts.errors import ContextLengthExceeded
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.search.vectors.client import EmbeddingClient
from support import tiny_embedder, tiny_gguf
from support.bridges import TOKEN, Bridge, bridge_to
from support.embedders import Batches, serving
from support.gateway import captured_logs, running_gateway
from support.until import until

URL = "/v1/embeddings"


@dataclass
class Hops:
    bridge: Bridge
    engine: EmbeddingEngine
    server: httpx.AsyncClient
    """Asks the model server itself."""
    batches: Batches


@pytest.fixture
async def hops(tmp_path: Path) -> AsyncIterator[Hops]:
    text = tiny_gguf.write(tmp_path / "coder.gguf", successors=tiny_gguf.ALPHABET)
    embedder = tiny_embedder.write(tmp_path / "mini.gguf")
    batches = Batches()
    batches.free()
    both = {"model": str(text), "embedding_model": str(embedder), "queue_size": 2}
    async with serving(batches=batches, **both) as (server, engines):
        async with running_gateway(str(server.base_url), aliases={"embed": "mini"}) as gateway:
            await gateway.until_ready()
            async with bridge_to(gateway.url, key=gateway.key) as bridge:
                assert engines.embedding is not None
                yield Hops(bridge, engines.embedding, server, batches)


async def vectors(client: httpx.AsyncClient, texts: list[str], **fields: Any) -> list[Any]:
    answer = await client.post(URL, json={"model": "mini", "input": texts, **fields})
    assert answer.status_code == 200, answer.text
    return [one["embedding"] for one in answer.json()["data"]]


async def test_both_models_are_listed_and_told_apart(hops: Hops) -> None:
    cards = (await hops.bridge.client.get("/v1/models")).json()["data"]
    assert [(card["id"], card["context_length"], card.get("embedding_length")) for card in cards] == [
        ("embed", 512, tiny_embedder.SIZE),
        ("coder", 2048, None),
        ("mini", 512, tiny_embedder.SIZE),
    ]


async def test_vectors_come_through_all_hops_as_the_model_server_gives_them(hops: Hops) -> None:
    texts = ["def connect(host): ...", "a pooled connection", "x"]
    ours, theirs = await vectors(hops.bridge.client, texts), await vectors(hops.server, texts)
    assert ours == [pytest.approx(one, abs=2e-3) for one in theirs]
    many = await vectors(hops.bridge.client, ["word"] * 500, encoding_format="base64", model="embed")
    assert len(many) == 500
    record = hops.bridge.records[-1]
    assert (record.surface, record.status, record.prompt_tokens) == ("embeddings", 200, 500 * 6)


async def test_the_openai_sdk_embeds_through_the_bridge(hops: Hops) -> None:
    async with openai.AsyncOpenAI(base_url=f"{hops.bridge.url}/v1", api_key=TOKEN, max_retries=0) as sdk:
        answer = await sdk.embeddings.create(model="mini", input=["one", "two"], dimensions=16)
        assert [len(one.embedding) for one in answer.data] == [16, 16]
        with pytest.raises(openai.NotFoundError, match="does not exist here"):
            await sdk.embeddings.create(model="other", input="x")
        with pytest.raises(openai.BadRequestError, match="resulted in 602 tokens") as refused:
            await sdk.embeddings.create(model="mini", input="x " * 600)
        assert refused.value.code == "context_length_exceeded"


async def test_a_client_that_leaves_ends_the_work_at_the_model_server(tmp_path: Path) -> None:
    batches = Batches()
    embedder = tiny_embedder.write(tmp_path / "mini.gguf")
    async with serving(batches=batches, model=str(embedder), n_batch=64, queue_size=1) as (server, engines):
        async with running_gateway(str(server.base_url)) as gateway:
            await gateway.until_ready()
            async with bridge_to(gateway.url, key=gateway.key) as bridge:
                body = {"model": "mini", "input": ["x " * 60] * 100}
                asking = asyncio.create_task(bridge.client.post(URL, json=body))
                await until(lambda: len(batches.begun) == 1)
                busy = await bridge.client.post(URL, json=body)
                assert (busy.status_code, busy.json()["error"]["code"]) == (429, "overloaded")
                assert int(busy.headers["retry-after"]) >= 1
                asking.cancel()
                assert engines.embedding is not None
                line = engines.embedding.line
                await until(lambda: len(line) == 0)
                batches.free()
                await vectors(bridge.client, ["hi"])
    assert batches.begun == [[62], [4]]


def records(text: str, logger: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if line["logger"] == logger and line.get("surface") == "embeddings"]


async def test_nothing_of_a_text_reaches_a_log(hops: Hops) -> None:
    with captured_logs() as logs:
        asks: list[dict[str, Any]] = [
            {"model": "mini", "input": "canary"},
            {"model": "mini", "input": ["canary"] * 3, "user": "canary"},
            {"model": "mini", "input": "canary " * 200},
            {"model": "mini", "input": ["canary", 1]},
            {"model": "mini", "input": "x", "encoding_format": "canary"},
            {"model": "canary", "input": "x"},
        ]
        answers = [await hops.bridge.client.post(URL, json=ask) for ask in asks]
        direct = [await hops.server.post(URL, json=ask) for ask in asks]
        # A record is written when the answer is out; of the model that nobody knows only the gateway hears.
        await until(lambda: len(records(logs.getvalue(), "bawn.model_server")) == 2 * len(asks) - 1)
    expected = [200, 200, 400, 400, 400, 404]
    assert [answer.status_code for answer in answers] == [answer.status_code for answer in direct] == expected
    assert "canary" not in logs.getvalue()
    served = records(logs.getvalue(), "bawn.model_server")
    assert [line["status"] for line in served] == [*expected[:-1], *expected]
    assert [line["prompt_tokens"] for line in served[:2]] == [8, 24]


async def test_the_client_of_search_embeds_through_the_chain(hops: Hops) -> None:
    with httpx.Client(base_url=hops.bridge.client.base_url, headers=hops.bridge.client.headers, timeout=20) as http:
        client = EmbeddingClient(http, "mini")
        one, two = await asyncio.to_thread(client.embed, ["one", "two"])
        with pytest.raises(ContextLengthExceeded) as refused:
            await asyncio.to_thread(client.embed, ["short", "x " * 600])
    assert [list(one), list(two)] == [pytest.approx(v, abs=1e-6) for v in await vectors(hops.server, ["one", "two"])]
    assert (refused.value.prompt_tokens, refused.value.context_tokens) == (602, 512)
