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
    prompt_cache_key: str | None = None
    """Names the conversation: a hint."""


class JsonSchema(Wire, frozen=True):
    name: str = ""
    schema: dict[str, Any] | None = None


class ResponseFormat(Wire, frozen=True):
    type: str = "text"
    """text, json_object or json_schema."""
    json_schema: JsonSchema | None = None
    schema: dict[str, Any] | None = None
    """llama.cpp's: a schema beside `json_object`."""


class ChatRequest(Sampling, frozen=True, kw_only=True):
    model: str
    messages: list[Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class CompletionRequest(Sampling, frozen=True, kw_only=True):
    model: str
    prompt: str | list[str | int] = ""
    """Text, texts or token ids: msgspec takes one array type a union."""
    suffix: str | None = None
    max_tokens: int | None = None
    echo: bool = False
    logprobs: int | None = None
    """So many of the likeliest tokens."""


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


class TopLogprob(Wire, frozen=True):
    token: str
    logprob: float
    bytes: list[int]
    """UTF-8; a token may be half a code point."""


class TokenLogprob(Wire, frozen=True):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Wire, frozen=True):
    content: list[TokenLogprob]


class CompletionLogprobs(Wire, frozen=True):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]
    """Where each token begins in the text, in characters."""


class ChoiceMessage(Wire, frozen=True, omit_defaults=False):
    role: str
    content: str | None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


FinishReason = Literal["stop", "length", "tool_calls"]


class ChatChoice(Wire, frozen=True):
    index: int
    message: ChoiceMessage
    finish_reason: FinishReason | None = None
    logprobs: ChatLogprobs | UnsetType = UNSET


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
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list["ToolCallDelta"] | UnsetType = UNSET


class FunctionDelta(Wire, frozen=True, omit_defaults=True):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCallDelta(Wire, frozen=True, omit_defaults=True):
    index: int
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: FunctionDelta | UnsetType = UNSET


class ChatChunkChoice(Wire, frozen=True):
    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: ChatLogprobs | UnsetType = UNSET


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
    logprobs: CompletionLogprobs | UnsetType = UNSET


class Completion(Wire, frozen=True, kw_only=True):
    """A whole completion, or one chunk of a streamed one."""

    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | UnsetType | None = UNSET
    object: Literal["text_completion"] = "text_completion"


class EmbeddingRequest(Wire, frozen=True, kw_only=True):
    model: str
    input: str | list[str | int | list[int]]
    """A text, texts, the token ids of one input, or those of several."""
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    """So many numbers of each vector; a model must be trained for it."""
    user: str | None = None


class Embedding(Wire, frozen=True, kw_only=True):
    index: int
    embedding: list[float] | str
    """Of length 1; as base64: 32-bit floats, the lowest byte first."""
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(Wire, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Wire, frozen=True, kw_only=True):
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


class ModelCard(Wire, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    created: int = 0
    owned_by: str = "bawn"
    object: Literal["model"] = "model"
    context_length: int | None = None
    """Tokens that one request may use, prompt and answer together."""
    fim: bool | None = None
    """Whether the model has fill-in-the-middle tokens."""
    embedding_length: int | None = None
    """Numbers of a vector, of a model that embeds."""

    @property
    def generates(self) -> bool:
        """Whether it can be asked for text, as far as its server tells."""
        return self.embedding_length is None


class ModelList(Wire, frozen=True):
    data: list[ModelCard]
    object: Literal["list"] = "list"
