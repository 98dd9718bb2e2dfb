"""The gateway's OpenAI surfaces, with a real client and a real upstream."""

import json

from support.gateway import running_gateway
from support.scripted_upstream import scripted_upstream

ASK = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


def _events(text: str) -> list[dict]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_a_chat_streams_through_as_the_upstream_sent_it():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        answer = await gateway.client.post("/v1/chat/completions", json={**ASK, "stream": True})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "".join(c["choices"][0]["delta"].get("content", "") for c in _events(answer.text) if c["choices"]) == (
            "Hello from here."
        )
        assert answer.text.endswith("data: [DONE]\n\n")
