"""Probabilities of tokens as the OpenAI dialect tells them."""

from collections.abc import Sequence

from bawn.contracts import openai
from bawn.model_server.engine.sequence import TokenLogprob


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> list[openai.TokenLogprob]:
    """As a chat choice has them."""
    return [
        openai.TokenLogprob(
            _text(of.token),
            of.logprob,
            list(of.token),
            [openai.TopLogprob(_text(token), logprob, list(token)) for token, logprob in of.top],
        )
        for of in tokens
    ]


def completion_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> openai.CompletionLogprobs:
    """As a completion choice has them; the first token begins `offset` characters into the text."""
    offsets: list[int] = []
    for of in tokens:
        offsets.append(offset)
        offset += len(_text(of.token))
    return openai.CompletionLogprobs(
        [_text(of.token) for of in tokens],
        [of.logprob for of in tokens],
        [{_text(token): logprob for token, logprob in of.top} for of in tokens],
        offsets,
    )


def _text(token: bytes) -> str:
    return token.decode("utf-8", "replace")
