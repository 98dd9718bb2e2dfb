import httpx

from bawn.bridge.local_client import fetch_models


async def test_a_model_that_embeds_is_not_offered_for_text():
    cards = [{"id": "mini", "embedding_length": 384}, {"id": "coder", "context_length": 8192}]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"object": "list", "data": cards})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://bridge") as client:
        assert [card.id for card in await fetch_models(client)] == ["coder"]
