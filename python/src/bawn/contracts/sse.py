"""Server-sent events as the OpenAI dialect uses them.

Source: WHATWG HTML, "Server-sent events"; the `[DONE]` sentinel is OpenAI's.
"""

import time
from typing import Final, Literal

import msgspec

from bawn.contracts.errors import RequestError, encode_openai

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"

StreamKind = Literal["chat", "completion"]


def event(data: bytes) -> bytes:
    """One event whose data is a single line (JSON has no raw line breaks)."""
    return b"data: " + data + b"\n\n"


def error_event(error: RequestError) -> bytes:
    """What ends a stream that fails after its status line has gone out: the OpenAI SDKs raise on it."""
    return event(encode_openai(error))


def keepalive_event(kind: StreamKind, model: str) -> bytes:
    """A data event that says nothing: OpenCode counts data as progress and ignores comments."""
    chat = kind == "chat"
    choice = (
        {"index": 0, "delta": {}, "finish_reason": None} if chat else {"index": 0, "text": "", "finish_reason": None}
    )
    chunk = {
        "id": "keepalive",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
    }
    return event(msgspec.json.encode(chunk))


def last_boundary(buffer: bytes | bytearray) -> int:
    """Index just past the last complete event of `buffer`; 0 when there is none.

    Events end at an empty line, which may be written with LF or CRLF.
    """
    lf = buffer.rfind(b"\n\n")
    crlf = buffer.rfind(b"\r\n\r\n")
    return max(lf + 2 if lf >= 0 else 0, crlf + 4 if crlf >= 0 else 0)
