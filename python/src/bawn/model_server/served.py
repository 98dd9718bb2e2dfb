"""The model as it is served: request bodies in, generation requests out."""

import logging
from pathlib import Path
from typing import NamedTuple

import jinja2
import msgspec

from bawn.contracts.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound
from bawn.contracts.openai import ChatRequest, CompletionRequest, ModelCard
from bawn.contracts.openai import Sampling as WireSampling
from bawn.contracts.record import Surface
from bawn.model_server.chat.answers import Answer, ChatAnswer, CompletionAnswer
from bawn.model_server.chat.messages import for_template
from bawn.model_server.chat.template import ChatTemplate
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.sequence import GenerationRequest
from bawn.model_server.sampling_fields import limit_of, sampling_of, stops_of
from bawn.service.http import decode_request
from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server")

_chat_decoder = msgspec.json.Decoder(ChatRequest)
_completion_decoder = msgspec.json.Decoder(CompletionRequest)


class Work(NamedTuple):
    """A request that can be run."""

    surface: Surface
    request: GenerationRequest
    answer: Answer
    stream: bool
    include_usage: bool


class ServedModel:
    """What the HTTP side needs of the loaded model. Its methods take no lock and may run in any thread."""

    def __init__(self, runtime: Runtime, path: Path, alias: str, defaults: Sampling) -> None:
        self._vocabulary = runtime.vocabulary
        self._n_ctx = runtime.n_ctx
        self._defaults = defaults
        self.name = alias or path.stem
        self.card = ModelCard(id=self.name, context_length=self._n_ctx, fim=self._vocabulary.has_fim)
        self._template: ChatTemplate | None = None
        self._no_chat = "This model has no chat template: use /v1/completions."
        source = runtime.chat_template
        if source is not None:
            try:
                self._template = ChatTemplate(source, bos=self._vocabulary.bos_text, eos=self._vocabulary.eos_text)
            except jinja2.TemplateError:
                self._no_chat = "This model's chat template is not valid Jinja: use /v1/completions."
                event(_log, "chat_template_invalid", level=logging.WARNING)

    def chat(self, body: bytes) -> Work:
        """Read a chat request.

        Raises:
            InvalidRequest, ModelNotFound, ContextLengthExceeded: it can't be run.
        """
        wire = decode_request(body, _chat_decoder)
        self._known(wire.model)
        if self._template is None:
            raise InvalidRequest(self._no_chat)
        form = (wire.response_format or {}).get("type", "text")
        if form != "text":
            raise InvalidRequest(
                "This server answers in text: it can't hold to a JSON format.", param="response_format"
            )
        prompt = self._template.render(for_template(wire.messages), tools=wire.tools, extra=wire.chat_template_kwargs)
        completion_limit = limit_of(wire.max_completion_tokens, param="max_completion_tokens")
        limit = limit_of(wire.max_tokens) if completion_limit is None else completion_limit
        request = self._request(wire, self._vocabulary.prompt_tokens(prompt), limit)
        return _work("chat", wire, request, ChatAnswer(self.name))

    def completion(self, body: bytes) -> Work:
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
        request = self._request(wire, tokens, limit_of(wire.max_tokens))
        answer = CompletionAnswer(self.name, echo=prompt if wire.echo and isinstance(prompt, str) else "")
        return _work("fim" if wire.suffix else "completions", wire, request, answer)

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

    def _request(self, wire: WireSampling, tokens: list[int], max_tokens: int | None) -> GenerationRequest:
        if not tokens:
            raise InvalidRequest("The prompt is empty.", param="prompt")
        if len(tokens) >= self._n_ctx:
            raise ContextLengthExceeded(len(tokens), self._n_ctx)
        return GenerationRequest(
            tokens=tokens,
            max_tokens=max_tokens,
            stops=stops_of(wire),
            sampling=sampling_of(wire, self._defaults, self._vocabulary.size),
        )


def _work(surface: Surface, wire: WireSampling, request: GenerationRequest, answer: Answer) -> Work:
    include_usage = wire.stream_options is not None and wire.stream_options.include_usage
    return Work(surface, request, answer, wire.stream, include_usage)
