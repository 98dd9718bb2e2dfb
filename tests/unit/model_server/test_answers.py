"""What a chat answer holds beside text, over HTTP: calls, reasoning, JSON, probabilities, several choices."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from support import tiny_gguf
from support.engines import server_on

CHAT = "/v1/chat/completions"
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "temperature": 0}
MODES = ["text", "bytes"]


def tool(name: str) -> dict[str, Any]:
    mode = {"type": "string", "enum": MODES}
    schema = {"type": "object", "properties": {"mode": mode}, "required": ["mode"]}
    return {"type": "function", "function": {"name": name, "description": "Reads", "parameters": schema}}


TOOLS = [tool("read_file"), tool("stat")]
HERMES = tiny_gguf.CHATML + '{# tools: <tool_call>{"name": "", "arguments": {}}</tool_call> #}'
QWEN = tiny_gguf.CHATML + "{# tools: <tool_call><function=></function></tool_call> <think></think> #}"

TEMPLATES = {
    "hermes": HERMES,
    "qwen-xml": QWEN,
    "generic": tiny_gguf.CHATML,
    "mistral": tiny_gguf.CHATML + "{# tools: [TOOL_CALLS] [ARGS] #}",
    "mistral, a list": tiny_gguf.CHATML + "{# tools: [TOOL_CALLS] #}",
    "gemma": tiny_gguf.CHATML + "{# tools: <|tool_call>call: #}",
    "llama3": tiny_gguf.CHATML + '{# <|start_header_id|> tool_calls {"name": "", "parameters": } #}',
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A model whose every token depends on all before it: what it says is noise, unless it is held to something."""
    async with server_on(tiny_gguf.write(tmp_path / "random.gguf", template=HERMES)) as (client, _):
        yield client


async def asked(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(CHAT, json=HELLO | body)
    assert response.status_code == 200, response.text
    return response.json()


async def streamed(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    """The events of a stream, whose end is checked."""
    async with client.stream("POST", CHAT, json=HELLO | body | {"stream": True}) as response:
        lines = [line.removeprefix("data: ") async for line in response.aiter_lines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
async def test_a_required_call_is_made_and_fits_the_schema_whatever_the_model_would_say(
    tmp_path: Path, template: str
) -> None:
    async with server_on(tiny_gguf.write(tmp_path / "random.gguf", template=template)) as (client, _):
        body = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 400}
        answer = await asked(client, **body)
        (choice,) = answer["choices"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        (call,) = choice["message"]["tool_calls"]
        assert call["type"] == "function"
        assert call["function"]["name"] in ("read_file", "stat")
        assert json.loads(call["function"]["arguments"])["mode"] in MODES

        events = await streamed(client, **body)
        deltas = [event["choices"][0]["delta"] for event in events]
        pieces = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        assert pieces[0]["function"] == {"name": call["function"]["name"], "arguments": ""}
        assert len(pieces[0]["id"]) >= 9
        assert all(piece["index"] == 0 and set(piece) == {"index", "function"} for piece in pieces[1:])
        text = "".join(piece["function"]["arguments"] for piece in pieces)
        assert json.loads(text) == json.loads(call["function"]["arguments"])
        assert not any(delta.get("content") for delta in deltas)
        assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_named_tool_is_the_one_that_is_called(client: httpx.AsyncClient) -> None:
    for name in ("stat", "read_file"):
        choice = {"type": "function", "function": {"name": name}}
        answer = await asked(client, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=400)
        (call,) = answer["choices"][0]["message"]["tool_calls"]
        assert call["function"]["name"] == name


async def test_a_call_that_max_tokens_cuts_off_is_no_text_and_says_length(client: httpx.AsyncClient) -> None:
    answer = await asked(client, tools=TOOLS, tool_choice="required", max_tokens=40)
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "length"
    assert not choice["message"]["content"]
    assert answer["usage"]["completion_tokens"] == 40


async def test_the_openai_sdk_reads_calls_whole_and_streamed(client: httpx.AsyncClient) -> None:
    sdk = openai.AsyncOpenAI(api_key="none", base_url=f"{client.base_url}/v1", max_retries=0)
    given: Any = {"model": "tiny", "messages": HELLO["messages"], "tools": TOOLS, "tool_choice": "required"}
    async with sdk.chat.completions.stream(**given, parallel_tool_calls=False, temperature=0, max_tokens=400) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments)["mode"] in MODES
    await sdk.close()


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": tool("x")["function"]["parameters"]}},
        {"type": "json_object", "schema": tool("x")["function"]["parameters"]},
    ],
)
async def test_an_answer_is_json_of_the_schema(client: httpx.AsyncClient, form: dict[str, Any]) -> None:
    answer = await asked(client, response_format=form, max_tokens=400)
    (choice,) = answer["choices"]
    assert json.loads(choice["message"]["content"])["mode"] in MODES
    assert choice["finish_reason"] == "stop"


async def test_without_a_schema_an_answer_is_some_json_object(client: httpx.AsyncClient) -> None:
    free, held = [
        (await asked(client, max_tokens=200, **form))["choices"][0]
        for form in ({}, {"response_format": {"type": "json_object"}})
    ]
    text = held["message"]["content"].lstrip()
    assert text.startswith("{")
    assert not free["message"]["content"].lstrip().startswith("{")
    assert held["finish_reason"] == "length" or isinstance(json.loads(text), dict)


async def test_the_template_is_given_what_the_request_has_for_it(tmp_path: Path) -> None:
    """`enable_thinking` is how Qwen's templates are told."""
    thinks = "{% if enable_thinking %}{{ '<think>\\n' }}{% endif %}{% endif %}{# </think> #}"
    template = tiny_gguf.CHATML.removesuffix("{% endif %}") + thinks
    says = tiny_gguf.says(b"abc</think>dfg")
    async with server_on(tiny_gguf.write(tmp_path / "m.gguf", successors=says, template=template)) as (client, _):
        on = (await asked(client, chat_template_kwargs={"enable_thinking": True}))["choices"][0]["message"]
        off = (await asked(client, chat_template_kwargs={"enable_thinking": False}))["choices"][0]["message"]
        assert (on["reasoning_content"], on["content"]) == ("abc", "dfg")
        assert "reasoning_content" not in off
        refused = await client.post(CHAT, json=HELLO | {"chat_template_kwargs": "thinking"})
        assert refused.status_code == 400
        assert "chat_template_kwargs" in refused.json()["error"]["message"]


async def test_reasoning_is_a_field_of_its_own(tmp_path: Path) -> None:
    template = tiny_gguf.CHATML.removesuffix("{% endif %}") + "{{ '<think>\\n' }}{% endif %}"
    says = tiny_gguf.says(b"abc</think>dfg")
    async with server_on(tiny_gguf.write(tmp_path / "m.gguf", successors=says, template=template)) as (client, _):
        message = (await asked(client))["choices"][0]["message"]
        assert message == {"role": "assistant", "content": "dfg", "reasoning_content": "abc"}
        deltas = [event["choices"][0]["delta"] for event in await streamed(client)]
        assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "abc"
        assert "".join(delta.get("content", "") for delta in deltas) == "dfg"


async def test_probabilities_are_told_with_each_token(client: httpx.AsyncClient) -> None:
    answer = await asked(client, max_tokens=4, logprobs=True, top_logprobs=3)
    content = answer["choices"][0]["logprobs"]["content"]
    assert len(content) == 4
    for token in content:
        assert len(token["top_logprobs"]) == 3
        # Greedy: the token is the likeliest.
        assert token["logprob"] == token["top_logprobs"][0]["logprob"]
        assert sum(math.exp(top["logprob"]) for top in token["top_logprobs"]) <= 1 + 1e-6
        assert token["token"] == bytes(token["bytes"]).decode("utf-8", "replace")
    events = await streamed(client, max_tokens=4, logprobs=True)
    told = [entry for event in events for entry in event["choices"][0].get("logprobs", {}).get("content", [])]
    assert [entry["logprob"] for entry in told] == pytest.approx([token["logprob"] for token in content], abs=1e-3)
    assert "logprobs" not in (await asked(client, max_tokens=4))["choices"][0]


async def test_probabilities_of_completions_have_offsets(client: httpx.AsyncClient) -> None:
    body = {"model": "tiny", "prompt": "hello", "max_tokens": 3, "temperature": 0, "logprobs": 2, "echo": True}
    choice = (await client.post("/v1/completions", json=body)).json()["choices"][0]
    told = choice["logprobs"]
    assert len(told["tokens"]) == len(told["token_logprobs"]) == len(told["top_logprobs"]) == 3
    assert told["text_offset"][0] == len("hello")
    assert all(len(top) <= 2 for top in told["top_logprobs"])


async def test_several_choices_differ(client: httpx.AsyncClient) -> None:
    body = {"n": 3, "temperature": 1.5, "seed": 7, "max_tokens": 12, "ignore_eos": True}
    answer = await asked(client, **body)
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert answer["usage"]["completion_tokens"] == 36
    by_choice = {0: "", 1: "", 2: ""}
    for event in await streamed(client, **body):
        choice = event["choices"][0]
        by_choice[choice["index"]] += choice["delta"].get("content", "")
    assert len(set(by_choice.values())) == 3


async def test_the_same_seed_makes_the_same(client: httpx.AsyncClient) -> None:
    body = {"temperature": 1.5, "seed": 7, "max_tokens": 12, "ignore_eos": True}
    # What else is in a batch moves its sums by rounding: so the prompt lies in the cache, and nobody else is there.
    await asked(client, **body)
    texts = [(await asked(client, **body | {"seed": seed}))["choices"][0]["message"]["content"] for seed in (7, 7, 8)]
    assert texts[0] == texts[1] != texts[2]
    events = await streamed(client, **body)
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events).strip() == texts[0].strip()


async def test_several_choices_with_a_grammar_each_keep_to_it(client: httpx.AsyncClient) -> None:
    form = {"type": "json_object", "schema": tool("x")["function"]["parameters"]}
    answer = await asked(client, response_format=form, n=3, temperature=1.0, max_tokens=400)
    assert [json.loads(choice["message"]["content"])["mode"] in MODES for choice in answer["choices"]] == [True] * 3


async def test_a_bias_against_all_that_a_grammar_allows_ends_the_answer(client: httpx.AsyncClient) -> None:
    form = {"type": "json_object", "schema": {"const": "a"}}
    bias = {str(ord('"')): -1e9}
    (choice,) = (await asked(client, response_format=form, logit_bias=bias, max_tokens=50))["choices"]
    assert choice["finish_reason"] in ("stop", "length")


async def test_a_schema_that_cannot_be_held_to_is_the_clients_error(client: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "https://elsewhere.example/x"}}}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    response = await client.post(CHAT, json=HELLO | {"response_format": form})
    assert response.status_code == 400
    assert "can't be held to" in response.json()["error"]["message"]
