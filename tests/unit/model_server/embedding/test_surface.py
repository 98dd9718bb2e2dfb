import asyncio
import base64
import json
from array import array
from pathlib import Path
from typing import Any

import gguf
import httpx
import numpy as np
import openai
import pytest

from support import tiny_embedder, tiny_gguf
from support.embedders import Batches, serving
from support.until import until

URL = "/v1/embeddings"
CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "embedder", "input": "hello world"}
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 3}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_embedder.write(tmp_path / "embedder.gguf")


@pytest.fixture
def generating(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "tiny.gguf", successors=tiny_gguf.ALPHABET)


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def vectors(client: httpx.AsyncClient, **fields: Any) -> list[list[float]]:
    answer = await client.post(URL, json=ASK | fields)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return [one["embedding"] for one in data]


async def test_an_answer_has_vectors_of_length_1_in_order_and_the_tokens(model: Path) -> None:
    async with serving(model=str(model)) as (client, _):
        answer = (await client.post(URL, json=ASK | {"input": ["hello", "world", "hello"]})).json()
    assert (answer["object"], answer["model"]) == ("list", "embedder")
    assert answer["usage"] == {"prompt_tokens": 21, "total_tokens": 21}
    assert {one["object"] for one in answer["data"]} == {"embedding"}
    first, second, third = [one["embedding"] for one in answer["data"]]
    assert first == pytest.approx(third, abs=2e-3)
    assert np.abs(np.subtract(first, second)).max() > 0.01
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-6)


async def test_texts_and_token_ids_are_taken_in_every_form(model: Path) -> None:
    async with serving(model=str(model)) as (client, engines):
        assert engines.embedding is not None
        ids = [list(engines.embedding.runtime.tokens(text)) for text in ("one", "two")]
        one, two = await vectors(client, input=["one", "two"])
        assert await vectors(client, input="one") == [pytest.approx(one, abs=2e-3)]
        assert await vectors(client, input=["two"]) == [pytest.approx(two, abs=2e-3)]
        assert await vectors(client, input=ids[0]) == [pytest.approx(one, abs=2e-3)]
        assert await vectors(client, input=ids) == [pytest.approx(one, abs=2e-3), pytest.approx(two, abs=2e-3)]


async def test_base64_holds_the_same_numbers(model: Path) -> None:
    async with serving(model=str(model)) as (client, _):
        [numbers] = await vectors(client, encoding_format="float")
        [text] = await vectors(client, encoding_format="base64")
        [default] = await vectors(client, encoding_format=None)
    assert isinstance(text, str)
    assert array("f", base64.b64decode(text)).tolist() == numbers == default


async def test_fewer_dimensions_are_the_first_ones_at_length_1(model: Path) -> None:
    async with serving(model=str(model)) as (client, _):
        [whole] = await vectors(client)
        [short] = await vectors(client, dimensions=8)
        assert await vectors(client, dimensions=tiny_embedder.SIZE) == [whole]
    assert short == pytest.approx([x / np.linalg.norm(whole[:8]) for x in whole[:8]], abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"{not json", (400, "invalid_request")),
        (b'{"model": "embedder"}', (400, "invalid_request")),
        ({"input": []}, (400, "invalid_request")),
        ({"input": ""}, (400, "invalid_request")),
        ({"input": ["a", ""]}, (400, "invalid_request")),
        ({"input": [[1], []]}, (400, "invalid_request")),
        ({"input": ["a", 1]}, (400, "invalid_request")),
        ({"input": [1, [1]]}, (400, "invalid_request")),
        ({"input": [-1]}, (400, "invalid_request")),
        ({"input": [tiny_embedder.VOCABULARY]}, (400, "invalid_request")),
        ({"input": [[2**70]]}, (400, "invalid_request")),
        ({"input": {"text": "a"}}, (400, "invalid_request")),
        ({"input": ["a"] * 2049}, (400, "invalid_request")),
        ({"input": "a " * 600}, (400, "context_length_exceeded")),
        ({"encoding_format": "hex"}, (400, "invalid_request")),
        ({"dimensions": 0}, (400, "invalid_request")),
        ({"dimensions": tiny_embedder.SIZE + 1}, (400, "invalid_request")),
        ({"model": "other"}, (404, "model_not_found")),
    ],
    ids=str,
)
async def test_what_cannot_be_embedded_is_one_clear_error(
    model: Path, fields: bytes | dict[str, Any], expected: tuple[int, str]
) -> None:
    async with serving(model=str(model)) as (client, _):
        sent = fields if isinstance(fields, bytes) else json.dumps(ASK | fields).encode()
        assert error_of(await client.post(URL, content=sent)) == expected


async def test_a_text_that_is_too_long_is_refused_with_both_counts_and_its_number(model: Path) -> None:
    async with serving(model=str(model), embedding_ctx=100) as (client, _):
        fits = await client.post(URL, json=ASK | {"input": "x " * 98})
        assert fits.json()["usage"]["prompt_tokens"] == 100
        error = (await client.post(URL, json=ASK | {"input": ["short", "x " * 99]})).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (101, 100)
    assert "input 1 resulted in 101 tokens" in error["message"]
    assert "100 tokens" in error["message"]


async def test_the_known_name_is_told_to_who_asks_for_another(model: Path) -> None:
    async with serving(model=str(model)) as (client, _):
        message = (await client.post(URL, json=ASK | {"model": "text-embedding-3"})).json()["error"]["message"]
    assert "Known models: embedder" in message


async def test_a_client_that_leaves_frees_the_engine(model: Path) -> None:
    batches = Batches()
    async with serving(batches=batches, model=str(model), n_batch=64) as (client, engines):
        asking = asyncio.create_task(client.post(URL, json=ASK | {"input": ["x " * 60] * 50}))
        await until(lambda: len(batches.begun) == 1)
        asking.cancel()
        assert engines.embedding is not None
        line, stats = engines.embedding.line, engines.embedding.stats
        await until(lambda: len(line) == 0)
        batches.free()
        await vectors(client)
        assert batches.begun == [[62], [12]]
        assert (stats.aborted_batches, stats.inputs) == (1, 1)
        text = (await client.get("/metrics")).text
    assert 'bawn_model_requests_total{status="left",surface="embeddings"} 1.0' in text


async def test_a_full_queue_is_429_with_retry_after(model: Path) -> None:
    batches = Batches()
    async with serving(batches=batches, model=str(model), queue_size=1) as (client, engines):
        first = asyncio.create_task(client.post(URL, json=ASK))
        assert engines.embedding is not None
        line = engines.embedding.line
        await until(lambda: len(line) == 1)
        refused = await client.post(URL, json=ASK)
        assert error_of(refused) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        batches.free()
        assert (await first).status_code == 200


async def test_a_request_that_takes_too_long_is_ended(model: Path) -> None:
    batches = Batches()
    async with serving(batches=batches, model=str(model), request_timeout_s=0.2) as (client, engines):
        assert error_of(await client.post(URL, json=ASK)) == (504, "upstream_timeout")
        assert engines.embedding is not None
        assert len(engines.embedding.line) == 0


async def test_a_model_that_embeds_is_served_alone_and_says_so_to_who_wants_text(model: Path) -> None:
    async with serving(model=str(model), alias="mini") as (client, _):
        for path in (CHAT, "/v1/completions"):
            answer = await client.post(path, json=HELLO | {"model": "mini", "prompt": "x"})
            assert error_of(answer) == (400, "invalid_request")
            assert "embeds; it does not generate text" in answer.json()["error"]["message"]
        [card] = (await client.get("/v1/models")).json()["data"]
        assert (card["id"], card["context_length"], card["embedding_length"]) == ("mini", 512, tiny_embedder.SIZE)
        assert (await client.get("/slots")).json() == []
        assert (await client.get("/ready")).json() == {"ready": True, "parts": [{"name": "embedding", "ok": True}]}
        health = await client.get("/health")
        assert (health.status_code, health.json()["state"]) == (200, "ready")


async def test_a_decoder_with_pooling_is_served_as_one_that_embeds(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "embedder.gguf", pooling=gguf.PoolingType.LAST)
    async with serving(model=str(model)) as (client, _):
        a, b = await vectors(client, input=["hello", "hellO"])
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-6)
    assert np.abs(np.subtract(a, b)).max() > 0.01


async def test_one_process_serves_a_model_for_text_and_one_for_embeddings(model: Path, generating: Path) -> None:
    async with serving(model=str(generating), embedding_model=str(model), embedding_alias="mini") as (client, _):
        texts = [client.post(CHAT, json=HELLO) for _ in range(4)]
        embeddings = [client.post(URL, json={"model": "mini", "input": ["x"] * 10}) for _ in range(4)]
        answers = await asyncio.gather(*texts, *embeddings)
        assert [answer.json()["choices"][0]["message"]["content"] for answer in answers[:4]] == ["abc"] * 4
        assert [len(answer.json()["data"]) for answer in answers[4:]] == [10] * 4

        cards = (await client.get("/v1/models")).json()["data"]
        assert [(card["id"], card.get("embedding_length")) for card in cards] == [
            ("tiny", None),
            ("mini", tiny_embedder.SIZE),
        ]
        wrong = await client.post(URL, json={"model": "tiny", "input": "x"})
        assert error_of(wrong) == (400, "invalid_request")
        assert "For embeddings ask for `mini`" in wrong.json()["error"]["message"]
        wrong = await client.post(CHAT, json=HELLO | {"model": "mini"})
        assert error_of(wrong) == (400, "invalid_request")
        assert "embeds; it does not generate" in wrong.json()["error"]["message"]
        assert error_of(await client.post(CHAT, json=HELLO | {"model": "x"})) == (404, "model_not_found")

        parts = (await client.get("/ready")).json()["parts"]
        assert parts == [{"name": "embedding", "ok": True}, {"name": "engine", "ok": True}]
        text = (await client.get("/metrics")).text
    assert "bawn_model_embedding_inputs_total 40.0" in text
    assert "bawn_model_generated_tokens_total 12.0" in text
    assert 'bawn_model_requests_total{status="200",surface="embeddings"} 4.0' in text


async def test_health_is_as_good_as_the_worse_engine(model: Path, generating: Path) -> None:
    async with serving(model=str(generating), embedding_model=str(model), stall_s=2) as (client, engines):
        assert (await client.get("/health")).json()["state"] == "ready"
        assert engines.embedding is not None
        await engines.embedding.stop()
        assert (await client.get("/health")).status_code == 503
        ready = await client.get("/ready")
        assert ready.status_code == 503
        assert [(part["name"], part["ok"]) for part in ready.json()["parts"]] == [
            ("embedding", False),
            ("engine", True),
        ]


async def test_a_batch_that_hangs_shows_in_the_age(model: Path, generating: Path) -> None:
    batches = Batches()
    both = {"model": str(generating), "embedding_model": str(model), "stall_s": 0.8}
    async with serving(batches=batches, **both) as (client, engines):
        assert (await client.get("/health")).status_code == 200
        asking = asyncio.create_task(client.post(URL, json=ASK))
        await until(lambda: engines.age_s > 1)
        health = await client.get("/health")
        assert (health.status_code, health.json()["state"]) == (503, "degraded")
        assert health.json()["loop_age_s"] > 1
        batches.free()
        assert (await asking).status_code == 200
        await until(lambda: engines.age_s < 0.8)
        assert (await client.get("/health")).status_code == 200


async def test_the_openai_sdk_gets_its_vectors(model: Path) -> None:
    async with (
        serving(model=str(model)) as (client, _),
        openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as sdk,
    ):
        answer = await sdk.embeddings.create(model="embedder", input=["hello", "world"])  # as base64
        floats = await sdk.embeddings.create(model="embedder", input=["hello", "world"], encoding_format="float")
        with pytest.raises(openai.NotFoundError):
            await sdk.embeddings.create(model="other", input="x")
    assert [one.embedding for one in answer.data] == [pytest.approx(one.embedding, abs=1e-7) for one in floats.data]
    assert answer.usage.prompt_tokens == 14


async def test_with_a_token_only_its_bearer_is_served(model: Path) -> None:
    async with serving(model=str(model), token="right") as (client, _):
        assert len(await vectors(client)) == 1
        for path in (URL, CHAT):
            answer = await client.post(path, json=ASK, headers={"authorization": "Bearer wrong"})
            assert error_of(answer) == (401, "invalid_api_key")
