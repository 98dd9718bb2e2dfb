"""The OpenAI Python SDK against the bridge."""

from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest

from support.chains import Front, scripted_chain
from support.scripted_upstream import Die, Reply, ScriptedUpstream, chat_chunk, chat_steps, json_reply, tool_call_steps

QUESTION = [{"role": "user", "content": "What are the walls made of?"}]


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[tuple[Front, ScriptedUpstream]]:
    async with scripted_chain(tmp_path) as chain:
        yield chain


@pytest.fixture
async def sdk(chain: tuple[Front, ScriptedUpstream]) -> AsyncIterator[openai.AsyncOpenAI]:
    front, _ = chain
    async with openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key=front.token, max_retries=0) as sdk:
        yield sdk


async def test_models_are_listed(sdk: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in sdk.models.list()] == ["scripted"]


async def test_a_streamed_answer_and_its_usage(sdk: openai.AsyncOpenAI, chain: tuple[Front, ScriptedUpstream]) -> None:
    chain[1].script(Reply(steps=chat_steps(["lime", "stone"])))
    stream = await sdk.chat.completions.create(
        model="scripted", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "limestone"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


async def test_an_answer_in_one_piece(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="scripted", messages=QUESTION)
    assert answer.choices[0].message.content == "Hello from here."


async def test_a_streamed_tool_call(sdk: openai.AsyncOpenAI, chain: tuple[Front, ScriptedUpstream]) -> None:
    chain[1].script(Reply(steps=tool_call_steps("look", {"where": "walls"})))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    async with sdk.chat.completions.stream(model="scripted", messages=QUESTION, tools=[tool]) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert (calls[0].function.name, calls[0].function.arguments) == ("look", '{"where": "walls"}')
    assert chain[1].posts[-1].json["tools"] == [tool]


async def test_a_wrong_token_is_an_authentication_error(chain: tuple[Front, ScriptedUpstream]) -> None:
    async with openai.AsyncOpenAI(base_url=f"{chain[0].url}/v1", api_key="wrong", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError, match="bawn connect"):
            await sdk.chat.completions.create(model="scripted", messages=QUESTION)


async def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="scripted"):
        await sdk.chat.completions.create(model="gpt-5", messages=QUESTION)


async def test_a_full_server_is_a_rate_limit_error(
    sdk: openai.AsyncOpenAI, chain: tuple[Front, ScriptedUpstream]
) -> None:
    chain[1].script(json_reply({"error": {"message": "busy", "code": "overloaded"}}, 429, {"retry-after": "4"}))
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="scripted", messages=QUESTION, stream=True)
    assert caught.value.response.headers["retry-after"] == "4"


async def test_a_stream_that_breaks_off_raises(sdk: openai.AsyncOpenAI, chain: tuple[Front, ScriptedUpstream]) -> None:
    chain[1].script(Reply(steps=[chat_chunk({"content": "x"}), Die()]))
    stream = await sdk.chat.completions.create(model="scripted", messages=QUESTION, stream=True)
    with pytest.raises(openai.APIError, match=r"broke off|ended before"):
        async for _ in stream:
            pass
