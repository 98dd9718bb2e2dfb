"""Generated text as answers of the OpenAI dialect, whole or as the events of a stream."""

import secrets
import time
from typing import Protocol

import msgspec

from bawn.contracts import sse
from bawn.contracts.openai import (
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChoiceMessage,
    Completion,
    CompletionChoice,
    Delta,
    FinishReason,
    Usage,
)

_encoder = msgspec.json.Encoder()


class Answer(Protocol):
    """One answer under way. Events are whole server-sent events; `whole` is a JSON body."""

    def begin(self) -> bytes:
        """Events before the first text."""
        ...

    def piece(self, text: str) -> bytes:
        """The event of one piece of text."""
        ...

    def end(self, finish: FinishReason) -> bytes:
        """The event that tells why it ended."""
        ...

    def usage(self, usage: Usage) -> bytes:
        """The event with the counts."""
        ...

    def whole(self, text: str, finish: FinishReason, usage: Usage) -> bytes:
        """The answer in one piece."""
        ...


class ChatAnswer:
    """`/v1/chat/completions`."""

    def __init__(self, model: str) -> None:
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._model = model

    def _event(self, choices: list[ChatChunkChoice], usage: Usage | msgspec.UnsetType = msgspec.UNSET) -> bytes:
        chunk = ChatChunk(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)
        return sse.event(_encoder.encode(chunk))

    def begin(self) -> bytes:
        """The event that names the role."""
        return self._event([ChatChunkChoice(0, Delta(role="assistant", content=""))])

    def piece(self, text: str) -> bytes:
        """The event of one piece of text."""
        return self._event([ChatChunkChoice(0, Delta(content=text))])

    def end(self, finish: FinishReason) -> bytes:
        """The event with `finish_reason`."""
        return self._event([ChatChunkChoice(0, Delta(), finish)])

    def usage(self, usage: Usage) -> bytes:
        """The event with the counts and no choices."""
        return self._event([], usage)

    def whole(self, text: str, finish: FinishReason, usage: Usage) -> bytes:
        """The body of an answer that is not streamed."""
        choice = ChatChoice(0, ChoiceMessage("assistant", text), finish)
        return _encoder.encode(
            ChatCompletion(id=self._id, created=self._created, model=self._model, choices=[choice], usage=usage)
        )


class CompletionAnswer:
    """`/v1/completions`."""

    def __init__(self, model: str, *, echo: str = "") -> None:
        self._id = f"cmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._model = model
        self._echo = echo

    def _body(self, choices: list[CompletionChoice], usage: Usage | msgspec.UnsetType = msgspec.UNSET) -> bytes:
        return _encoder.encode(
            Completion(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)
        )

    def begin(self) -> bytes:
        """The prompt, where the request asked for its echo."""
        return self.piece(self._echo) if self._echo else b""

    def piece(self, text: str) -> bytes:
        """The event of one piece of text."""
        return sse.event(self._body([CompletionChoice(0, text)]))

    def end(self, finish: FinishReason) -> bytes:
        """The event with `finish_reason`."""
        return sse.event(self._body([CompletionChoice(0, "", finish)]))

    def usage(self, usage: Usage) -> bytes:
        """The event with the counts and no choices."""
        return sse.event(self._body([], usage))

    def whole(self, text: str, finish: FinishReason, usage: Usage) -> bytes:
        """The body of an answer that is not streamed."""
        return self._body([CompletionChoice(0, self._echo + text, finish)], usage)
