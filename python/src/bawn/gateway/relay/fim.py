"""Mistral's fill-in-the-middle surface, served by any upstream that takes `suffix` on `/v1/completions`.

Source: Mistral's API reference, `POST /v1/fim/completions`; Continue reads `choices[].delta.content` of its chunks.
"""

from typing import Any, Final

import msgspec

from bawn.service.http import decode_request


class _Prompt(msgspec.Struct, frozen=True):
    prompt: str
    suffix: str | None = None


_PROMPT = msgspec.json.Decoder(_Prompt)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EMPTY_SUFFIX: Final = msgspec.Raw(b'""')


def to_completion(body: bytes) -> bytes:
    """A FIM request as a completion request.

    Raises:
        InvalidRequest: no prompt, or one that is not text.
    """
    decode_request(body, _PROMPT)
    fields = decode_request(body, _FIELDS)
    # A suffix, even an empty one, is what makes an upstream fill in rather than go on.
    if bytes(fields.get("suffix", b"null")) == b"null":
        fields["suffix"] = _EMPTY_SUFFIX
    if "random_seed" in fields:  # Mistral's name for it
        fields.setdefault("seed", fields.pop("random_seed"))
    return msgspec.json.encode(fields)


def answer(body: bytes) -> bytes:
    """A whole completion in FIM's shape; what is none, an error say, stays as it is."""
    return _rewritten(body, chunk=False) or body


def events(data: bytes) -> bytes:
    """Complete events of a completion stream in FIM's shape; comments, errors and the end stay as they are."""
    return b"".join(_line(line) for line in data.splitlines(keepends=True))


def _line(line: bytes) -> bytes:
    if not line.startswith(b"data:"):
        return line
    text = line.rstrip(b"\r\n")
    chunk = _rewritten(text[5:].strip(), chunk=True)
    return line if chunk is None else b"data: " + chunk + line[len(text) :]


def _rewritten(data: bytes, *, chunk: bool) -> bytes | None:
    try:
        completion: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # [DONE]
    if not isinstance(completion, dict) or not isinstance(completion.get("choices"), list):
        return None
    completion["object"] = "chat.completion.chunk" if chunk else "chat.completion"
    completion["choices"] = [_choice(c, chunk=chunk) for c in completion["choices"] if isinstance(c, dict)]
    return msgspec.json.encode(completion)


def _choice(choice: dict[str, Any], *, chunk: bool) -> dict[str, Any]:
    text = choice.get("text") or ""
    said: dict[str, Any] = (
        {"delta": {"content": text}} if chunk else {"message": {"role": "assistant", "content": text}}
    )
    return {"index": choice.get("index", 0), **said, "finish_reason": choice.get("finish_reason")}
