"""Wire types of the OpenAI dialect. Requests tolerate unknown fields, as clients send many."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class Wire(msgspec.Struct, frozen=True, omit_defaults=False):
    """Base of the wire types: frozen, unknown fields ignored."""


class FunctionCall(Wire, frozen=True):
    name: str = ""
    arguments: str = ""
    """JSON as text."""


class ToolCall(Wire, frozen=True):
    id: str = ""
    type: str = "function"
    function: FunctionCall = FunctionCall()


class Message(Wire, frozen=True, omit_defaults=True):
    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


class StreamOptions(Wire, frozen=True):
    include_usage: bool = False


class Sampling(Wire, frozen=True, kw_only=True):
    """Sampling fields that chat and completions share; `None` takes the server's default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    ignore_eos: bool = False
    """Our extension, and llama.cpp's: go on past the end-of-generation token, for measuring."""
    user: str | None = None


class ChatRequest(Sampling, frozen=True, kw_only=True):
    model: str
    messages: list[Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class CompletionRequest(Sampling, frozen=True, kw_only=True):
    model: str
    prompt: str | list[str | int] = ""
    """Text, texts or token ids: msgspec takes one array type a union."""
    suffix: str | None = None
    max_tokens: int | None = None
    echo: bool = False


class FimRequest(Sampling, frozen=True, kw_only=True):
    """`POST /v1/fim/completions`: Mistral's fill-in-the-middle, which Continue's OpenAI provider speaks."""

    model: str
    prompt: str = ""
    suffix: str | None = None
    max_tokens: int | None = None


class PromptTokensDetails(Wire, frozen=True):
    cached_tokens: int = 0


class Usage(Wire, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = PromptTokensDetails()


class ChoiceMessage(Wire, frozen=True, omit_defaults=True):
    role: str
    content: str | None = None
    tool_calls: list[ToolCall] | None = None


FinishReason = Literal["stop", "length", "tool_calls"]


class ChatChoice(Wire, frozen=True):
    index: int
    message: ChoiceMessage
    finish_reason: FinishReason | None = None


class ChatCompletion(Wire, frozen=True, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"


class Delta(Wire, frozen=True, omit_defaults=True):
    role: str | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChatChunkChoice(Wire, frozen=True):
    index: int
    delta: Delta
    finish_reason: FinishReason | None = None


class ChatChunk(Wire, frozen=True, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class CompletionChoice(Wire, frozen=True):
    index: int
    text: str
    finish_reason: FinishReason | None = None


class Completion(Wire, frozen=True, kw_only=True):
    """A whole completion, or one chunk of a streamed one."""

    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | UnsetType | None = UNSET
    object: Literal["text_completion"] = "text_completion"


class ModelCard(Wire, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    created: int = 0
    owned_by: str = "bawn"
    object: Literal["model"] = "model"
    context_length: int | None = None
    """Tokens that one request may use, prompt and answer together."""
    fim: bool | None = None
    """Whether the model has fill-in-the-middle tokens."""


class ModelList(Wire, frozen=True):
    data: list[ModelCard]
    object: Literal["list"] = "list"
