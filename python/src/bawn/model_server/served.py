"""The model as it is served: request bodies in, generation requests out."""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jinja2
import msgspec

from bawn.contracts.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound, RequestError
from bawn.contracts.hints import Urgency
from bawn.contracts.openai import ChatRequest, CompletionRequest, ModelCard
from bawn.contracts.openai import Sampling as WireSampling
from bawn.contracts.record import Surface
from bawn.model_server.chat.answers import Answer, StreamedChat, StreamedCompletion, WholeChat, WholeCompletion
from bawn.model_server.chat.constraints.answer import answer_schema, grammar_of
from bawn.model_server.chat.parsing import AnswerParser
from bawn.model_server.chat.prompting import Prompter
from bawn.model_server.chat.tools import tools_of
from bawn.model_server.engine.grammar import Grammar, InvalidGrammar
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.sequence import GenerationRequest
from bawn.model_server.hints import hints_of
from bawn.model_server.sampling_fields import choices_of, limit_of, logprobs_of, sampling_of, stops_of
from bawn.service.http import decode_request
from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server")

_chat_decoder = msgspec.json.Decoder(ChatRequest)
_completion_decoder = msgspec.json.Decoder(CompletionRequest)


class Work(NamedTuple):
    """A request that can be run."""

    surface: Surface
    requests: list[GenerationRequest]
    """One a choice."""
    answer: Answer
    stream: bool
    session: str = ""
    """A hash of the name by which the client knows its conversation; empty where it gives none."""


class ServedModel:
    """What the HTTP side needs of the loaded model. Its methods take no lock and may run in any thread."""

    def __init__(self, runtime: Runtime, path: Path, alias: str, defaults: Sampling) -> None:
        self._vocabulary = runtime.vocabulary
        self._n_ctx = runtime.n_ctx
        self._defaults = defaults
        self.name = alias or path.stem
        self.card = ModelCard(id=self.name, context_length=self._n_ctx, fim=self._vocabulary.has_fim)
        self._prompter: Prompter | None = None
        self._marks: frozenset[int] = frozenset()
        self._border: int | None = None  # the token with which each message begins
        self._no_chat = "This model has no chat template: use /v1/completions."
        source = runtime.chat_template
        if source is not None:
            try:
                self._prompter = Prompter(source, bos=self._vocabulary.bos_text, eos=self._vocabulary.eos_text)
                self._marks = self._vocabulary.control_tokens(self._prompter.dialect.marks)
                self._border = self._vocabulary.border(self._prompter.sample())
                event(_log, "chat_dialect", dialect=self._prompter.dialect.name)
            except jinja2.TemplateError:
                self._no_chat = "This model's chat template is not valid Jinja: use /v1/completions."
                event(_log, "chat_template_invalid", level=logging.WARNING)
        if self._prompter is not None:
            self._warm_up()

    def _warm_up(self) -> None:
        """Read a request that has a tool, so that the first one of somebody's finds everything ready."""
        function = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": "Look!"}],
            "tools": [{"type": "function", "function": function}],
        }
        # A template that has no room for tools says so to whoever asks.
        with contextlib.suppress(RequestError, jinja2.TemplateError):
            self.chat(msgspec.json.encode(body), {})

    def chat(self, body: bytes, headers: Mapping[str, str]) -> Work:
        """Read a chat request.

        Raises:
            InvalidRequest, ModelNotFound, ContextLengthExceeded: it can't be run.
        """
        wire = decode_request(body, _chat_decoder)
        self._known(wire.model)
        prompter = self._prompter
        if prompter is None:
            raise InvalidRequest(self._no_chat)
        tools = tools_of(wire.tools, wire.tool_choice, parallel=wire.parallel_tool_calls)
        prompt = prompter.prompt(wire.messages, wire.tools, wire.chat_template_kwargs)
        grammar = grammar_of(prompter.dialect, tools, answer_schema(wire.response_format), reasoning=prompt.reasoning)
        completion_limit = limit_of(wire.max_completion_tokens, param="max_completion_tokens")
        limit = limit_of(wire.max_tokens) if completion_limit is None else completion_limit
        logprobs = logprobs_of(wire.logprobs, wire.top_logprobs)
        tokens = self._vocabulary.prompt_tokens(prompt.text)
        hints = hints_of(headers, cache_key=wire.prompt_cache_key)
        requests = self._requests(
            wire,
            tokens,
            limit,
            kind=hints.kind(fim=False, tools=bool(wire.tools), tokens=len(tokens)),
            user=hints.user or wire.user or "",
            logprobs=logprobs,
            grammar=grammar,
            shown=self._marks,
            # The first message begins where the prompt does, or behind its first token.
            borders=tuple(at for at, token in enumerate(tokens) if token == self._border and at > 1),
        )
        parsers = [AnswerParser(prompter.dialect, tools, reasoning=prompt.reasoning) for _ in requests]
        if wire.stream:
            answer: Answer = StreamedChat(self.name, parsers, include_usage=_include_usage(wire))
        else:
            answer = WholeChat(self.name, parsers)
        return Work("chat", requests, answer, wire.stream, hints.session)

    def completion(self, body: bytes, headers: Mapping[str, str]) -> Work:
        """Read a completion request; one with a `suffix` is to fill in the middle.

        Raises:
            InvalidRequest, ModelNotFound, ContextLengthExceeded: it can't be run.
        """
        wire = decode_request(body, _completion_decoder)
        self._known(wire.model)
        prompt, vocabulary = self._prompt(wire.prompt), self._vocabulary
        if wire.suffix:
            if not isinstance(prompt, str):
                raise InvalidRequest("With a `suffix` the prompt is one text.", param="prompt")
            if not vocabulary.has_fim:
                raise InvalidRequest(
                    "This model has no fill-in-the-middle tokens: leave `suffix` out, or serve a model that has them.",
                    param="suffix",
                )
            tokens = vocabulary.fim_tokens(prompt, wire.suffix)
        else:
            tokens = vocabulary.prompt_tokens(prompt) if isinstance(prompt, str) else prompt
        if wire.echo and not isinstance(prompt, str):
            raise InvalidRequest("`echo` needs a prompt that is text.", param="echo")
        logprobs = logprobs_of(wire.logprobs is not None, wire.logprobs, param="logprobs")
        hints = hints_of(headers, cache_key=wire.prompt_cache_key)
        requests = self._requests(
            wire,
            tokens,
            limit_of(wire.max_tokens),
            kind="fim" if wire.suffix else hints.urgency or "chat",
            user=hints.user or wire.user or "",
            logprobs=logprobs,
        )
        echo = prompt if wire.echo and isinstance(prompt, str) else ""
        if wire.stream:
            answer: Answer = StreamedCompletion(self.name, echo=echo, include_usage=_include_usage(wire))
        else:
            answer = WholeCompletion(self.name, len(requests), echo=echo)
        return Work("fim" if wire.suffix else "completions", requests, answer, wire.stream)

    def _known(self, model: str) -> None:
        if model != self.name:
            raise ModelNotFound(model, [self.name])

    def _prompt(self, wire: str | list[str | int]) -> str | list[int]:
        if isinstance(wire, str):
            return wire
        if len(wire) == 1 and isinstance(wire[0], str):
            return wire[0]
        tokens = [token for token in wire if isinstance(token, int) and 0 <= token < self._vocabulary.size]
        if len(tokens) != len(wire):
            raise InvalidRequest(
                f"A prompt is one text, or token ids from 0 to {self._vocabulary.size - 1}.", param="prompt"
            )
        return tokens

    def _requests(
        self,
        wire: WireSampling,
        tokens: list[int],
        max_tokens: int | None,
        *,
        kind: Urgency,
        user: str,
        logprobs: int | None,
        grammar: str | None = None,
        shown: frozenset[int] = frozenset(),
        borders: tuple[int, ...] = (),
    ) -> list[GenerationRequest]:
        if not tokens:
            raise InvalidRequest("The prompt is empty.", param="prompt")
        if len(tokens) >= self._n_ctx:
            raise ContextLengthExceeded(len(tokens), self._n_ctx)
        sampling = sampling_of(wire, self._defaults, self._vocabulary.size)
        stops = stops_of(wire)
        compiled = self._grammar(grammar) if grammar is not None else None
        return [
            GenerationRequest(
                tokens=tokens,
                max_tokens=max_tokens,
                stops=stops,
                # Choices of one request differ, and the same seed makes the same choices.
                sampling=msgspec.structs.replace(sampling, seed=sampling.seed + number),
                grammar=compiled.copy() if compiled is not None and number else compiled,
                shown=shown,
                kind=kind,
                user=user[:64],
                borders=borders,
                logprobs=logprobs,
            )
            for number in range(choices_of(wire))
        ]

    def _grammar(self, text: str) -> Grammar:
        try:
            return Grammar(text, self._vocabulary)
        except InvalidGrammar as error:
            raise InvalidRequest(
                "The schema of `response_format` or of a tool is too large or too unusual to be held to.",
                param="response_format",
            ) from error


def _include_usage(wire: WireSampling) -> bool:
    return wire.stream_options is not None and wire.stream_options.include_usage
