"""Fill-in-the-middle to completions and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.contracts.errors import InvalidRequest
from bawn.gateway.relay import fim


def test_a_request_keeps_its_fields_and_gets_a_suffix():
    sent = json.loads(fim.to_completion(b'{"model":"m","prompt":"a","stream":true,"max_tokens":9,"random_seed":4}'))
    assert sent == {"model": "m", "prompt": "a", "suffix": "", "stream": True, "max_tokens": 9, "seed": 4}
    assert json.loads(fim.to_completion(b'{"prompt":"a","suffix":"z"}'))["suffix"] == "z"
    assert json.loads(fim.to_completion(b'{"prompt":"a","suffix":null}'))["suffix"] == ""


@pytest.mark.parametrize("body", [b"{}", b'{"prompt":["a"]}', b'{"prompt":"a","suffix":1}', b"[]", b"{"])
def test_a_request_that_is_no_fim_request_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        fim.to_completion(body)


def test_chunks_become_deltas_and_everything_else_stays():
    stream = (
        b": hold on\n\n"
        b'data: {"id":"t","object":"text_completion","model":"m","choices":[{"index":0,"text":"x\\ny","logprobs":null,'
        b'"finish_reason":null}]}\r\n\r\n'
        b'data: {"choices":[{"index":0,"text":"","finish_reason":"stop"}],"usage":{"total_tokens":3}}\n\n'
        b'data: {"error":{"message":"broke"}}\n\n'
        b"data: [DONE]\n\n"
    )
    lines = fim.events(stream).split(b"\n")
    events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
    assert events[0] == {
        "id": "t",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "x\ny"}, "finish_reason": None}],
    }
    assert events[1]["choices"][0]["finish_reason"] == "stop"
    assert events[1]["usage"] == {"total_tokens": 3}
    assert events[2] == {"error": {"message": "broke"}}
    assert lines[0] == b": hold on"
    assert lines[-3] == b"data: [DONE]"


def test_a_whole_answer_becomes_a_message_and_an_error_stays():
    body = json.loads(fim.answer(b'{"id":"t","choices":[{"index":0,"text":"mid","finish_reason":"length"}]}'))
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "mid"}, "finish_reason": "length"}
    ]
    error = b'{"error": {"message":"no"} }'
    assert fim.answer(error) is error


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.sampled_from(["\n\n", "\r\n\r\n"]))
def test_no_text_is_changed_on_the_way(texts: list[str], end: str):
    chunks = [json.dumps({"choices": [{"index": 0, "text": text}]}, ensure_ascii=False) for text in texts]
    stream = "".join(f"data: {chunk}{end}" for chunk in chunks).encode()
    lines = fim.events(stream).split(b"\n")
    deltas = [json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines if line.startswith(b"data: ")]
    assert deltas == texts
