"""Token counts that an upstream reports within an answer, for the record of the request."""

import re

import msgspec

from bawn.contracts.openai import PromptTokensDetails, Wire
from bawn.contracts.record import RequestRecord

_USAGE = re.compile(rb'"usage":\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})')


class _Usage(Wire, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None


_DECODER = msgspec.json.Decoder(_Usage)


def note_usage(answer: bytes, record: RequestRecord) -> None:
    """Copy the last `usage` object of `answer` (events, or a JSON body's tail) into `record`, if there is one."""
    if b'"usage"' not in answer:
        return
    found = _USAGE.findall(answer)
    if not found:
        return
    try:
        usage = _DECODER.decode(found[-1])
    except msgspec.MsgspecError:
        return
    record.prompt_tokens = usage.prompt_tokens
    record.completion_tokens = usage.completion_tokens
    if usage.prompt_tokens_details is not None:
        record.cached_tokens = usage.prompt_tokens_details.cached_tokens
