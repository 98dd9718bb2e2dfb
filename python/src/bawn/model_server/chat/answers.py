"""Generated text as answers of the OpenAI dialect, whole or as the events of a stream."""

import secrets
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from bawn.contracts import sse
from bawn.contracts.openai import (
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatLogprobs,
    ChoiceMessage,
    Completion,
    CompletionChoice,
    Delta,
    FinishReason,
    FunctionCall,
    FunctionDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from bawn.contracts.openai import TokenLogprob as WireLogprob
from bawn.model_server.chat.logprobs import chat_logprobs, completion_logprobs
from bawn.model_server.chat.parsing import AnswerParser
from bawn.model_server.chat.parts import CallArguments, CallStart, Part, Reasoning, Text
from bawn.model_server.engine.sequence import Output, TokenLogprob

_encoder = msgspec.json.Encoder()


class Answer(Protocol):
    """One answer under way, of one choice or several. What its methods return is sent as it is."""

    def push(self, choice: int, output: Output) -> bytes:
        """What an output brings to a choice."""
        ...

    def finish(self, choice: int, reason: FinishReason) -> bytes:
        """The choice has ended."""
        ...

    def close(self, usage: Usage) -> bytes:
        """All choices have ended."""
        ...


class StreamedChat:
    """`/v1/chat/completions` with `stream`: server-sent events."""

    def __init__(self, model: str, parsers: Sequence[AnswerParser], *, include_usage: bool) -> None:
        self._id, self._created = _new_id("chatcmpl"), int(time.time())
        self._model = model
        self._parsers = parsers
        self._include_usage = include_usage
        self._begun: set[int] = set()

    def push(self, choice: int, output: Output) -> bytes:
        """Events; the first names the role, and comes with the first token even while its text is held back."""
        parts = self._parsers[choice].push(output.text)
        return self._begin(choice) + self._events(choice, parts, chat_logprobs(output.logprobs))

    def _begin(self, choice: int) -> bytes:
        if choice in self._begun:
            return b""
        self._begun.add(choice)
        return self._event([ChatChunkChoice(choice, Delta(role="assistant", content=""))])

    def _events(self, choice: int, parts: Sequence[Part], logprobs: list[WireLogprob]) -> bytes:
        deltas = [_delta(part) for part in parts] or ([Delta()] if logprobs else [])
        told = ChatLogprobs(logprobs) if logprobs else msgspec.UNSET
        events = [
            self._event([ChatChunkChoice(choice, delta, logprobs=msgspec.UNSET if at else told)])
            for at, delta in enumerate(deltas)
        ]
        return b"".join(events)

    def finish(self, choice: int, reason: FinishReason) -> bytes:
        """What was held back, and the event with `finish_reason`."""
        parser = self._parsers[choice]
        last = self._events(choice, parser.end(), [])
        end = self._event([ChatChunkChoice(choice, Delta(), _reason(parser, reason))])
        return self._begin(choice) + last + end

    def close(self, usage: Usage) -> bytes:
        """The counts, where they were asked for, and the end of the stream."""
        return (self._event([], usage) if self._include_usage else b"") + sse.DONE

    def _event(self, choices: list[ChatChunkChoice], usage: Usage | msgspec.UnsetType = msgspec.UNSET) -> bytes:
        chunk = ChatChunk(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)
        return sse.event(_encoder.encode(chunk))


class WholeChat:
    """`/v1/chat/completions` in one piece."""

    def __init__(self, model: str, parsers: Sequence[AnswerParser]) -> None:
        self._model = model
        self._parsers = parsers
        self._parts: list[list[Part]] = [[] for _ in parsers]
        self._logprobs: list[list[WireLogprob]] = [[] for _ in parsers]
        self._reasons: list[FinishReason] = ["stop"] * len(parsers)

    def push(self, choice: int, output: Output) -> bytes:
        """Nothing yet."""
        self._parts[choice] += self._parsers[choice].push(output.text)
        self._logprobs[choice] += chat_logprobs(output.logprobs)
        return b""

    def finish(self, choice: int, reason: FinishReason) -> bytes:
        """Nothing yet."""
        self._parts[choice] += self._parsers[choice].end()
        self._reasons[choice] = _reason(self._parsers[choice], reason)
        return b""

    def close(self, usage: Usage) -> bytes:
        """The body."""
        choices = [
            ChatChoice(
                number,
                _message(parts),
                self._reasons[number],
                ChatLogprobs(self._logprobs[number]) if self._logprobs[number] else msgspec.UNSET,
            )
            for number, parts in enumerate(self._parts)
        ]
        body = ChatCompletion(
            id=_new_id("chatcmpl"), created=int(time.time()), model=self._model, choices=choices, usage=usage
        )
        return _encoder.encode(body)


class StreamedCompletion:
    """`/v1/completions` with `stream`: server-sent events."""

    def __init__(self, model: str, *, echo: str, include_usage: bool) -> None:
        self._id, self._created = _new_id("cmpl"), int(time.time())
        self._model = model
        self._echo = echo
        self._include_usage = include_usage
        self._lengths: dict[int, int] = {}

    def push(self, choice: int, output: Output) -> bytes:
        """The event of one piece of text; before it the prompt, where its echo was asked for."""
        echo = self._echo if choice not in self._lengths else ""
        at = self._lengths.get(choice, 0) + len(echo)
        self._lengths[choice] = at + len(output.text)
        first = self._event(CompletionChoice(choice, echo)) if echo else b""
        if not output.text and not output.logprobs:
            return first
        told = completion_logprobs(output.logprobs, at) if output.logprobs else msgspec.UNSET
        return first + self._event(CompletionChoice(choice, output.text, logprobs=told))

    def finish(self, choice: int, reason: FinishReason) -> bytes:
        """The event with `finish_reason`."""
        return self._event(CompletionChoice(choice, "", reason))

    def close(self, usage: Usage) -> bytes:
        """The counts, where they were asked for, and the end of the stream."""
        return (self._event(None, usage) if self._include_usage else b"") + sse.DONE

    def _event(self, choice: CompletionChoice | None, usage: Usage | msgspec.UnsetType = msgspec.UNSET) -> bytes:
        body = Completion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[] if choice is None else [choice],
            usage=usage,
        )
        return sse.event(_encoder.encode(body))


class WholeCompletion:
    """`/v1/completions` in one piece."""

    def __init__(self, model: str, choices: int, *, echo: str) -> None:
        self._model = model
        self._echo = echo
        self._texts = [""] * choices
        self._logprobs: list[list[TokenLogprob]] = [[] for _ in range(choices)]
        self._reasons: list[FinishReason] = ["stop"] * choices

    def push(self, choice: int, output: Output) -> bytes:
        """Nothing yet."""
        self._texts[choice] += output.text
        self._logprobs[choice] += output.logprobs
        return b""

    def finish(self, choice: int, reason: FinishReason) -> bytes:
        """Nothing yet."""
        self._reasons[choice] = reason
        return b""

    def close(self, usage: Usage) -> bytes:
        """The body."""
        choices = [
            CompletionChoice(
                number,
                self._echo + text,
                self._reasons[number],
                completion_logprobs(told, len(self._echo)) if (told := self._logprobs[number]) else msgspec.UNSET,
            )
            for number, text in enumerate(self._texts)
        ]
        body = Completion(id=_new_id("cmpl"), created=int(time.time()), model=self._model, choices=choices, usage=usage)
        return _encoder.encode(body)


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(12)}"


def _reason(parser: AnswerParser, reason: FinishReason) -> FinishReason:
    """A call that was cut off is no call to make: only one that the model ended itself is."""
    return "tool_calls" if reason == "stop" and parser.calls else reason


def _delta(part: Part) -> Delta:
    match part:
        case Text(text):
            return Delta(content=text)
        case Reasoning(text):
            return Delta(reasoning_content=text)
        case CallStart(index, name_id, name):
            function = FunctionDelta(name=name, arguments="")
            return Delta(tool_calls=[ToolCallDelta(index, id=name_id, type="function", function=function)])
        case CallArguments(index, json):
            return Delta(tool_calls=[ToolCallDelta(index, function=FunctionDelta(arguments=json))])


def _message(parts: Sequence[Part]) -> ChoiceMessage:
    text = "".join(part.text for part in parts if isinstance(part, Text))
    reasoning = "".join(part.text for part in parts if isinstance(part, Reasoning))
    starts = [part for part in parts if isinstance(part, CallStart)]
    arguments = [
        "".join(part.json for part in parts if isinstance(part, CallArguments) and part.index == start.index)
        for start in starts
    ]
    calls = [
        ToolCall(start.id, "function", FunctionCall(start.name, json))
        for start, json in zip(starts, arguments, strict=True)
    ]
    return ChoiceMessage(
        "assistant", text if text or not calls else None, reasoning or msgspec.UNSET, calls or msgspec.UNSET
    )
