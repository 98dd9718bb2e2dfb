"""The one error tree, and its mapping to HTTP in the caller's dialect.

    BawnError
    ├── SettingsError             a settings file or command line that can't work (exit status 2)
    └── RequestError              a request that is answered with an error
        ├── InvalidRequest        400  invalid_request
        │   └── ContextLengthExceeded  400  context_length_exceeded
        ├── Unauthorized          401  invalid_api_key
        ├── Forbidden             403  forbidden              a model or an index that this person may not use
        │   ├── IdentityMismatch  403  identity_mismatch      a key of another person than the node's owner
        │   └── NodeNotAllowed    403  node_not_allowed       called from no node of a person
        ├── NotFound              404  not_found
        │   └── ModelNotFound     404  model_not_found
        ├── MethodNotAllowed      405  method_not_allowed
        ├── Conflict              409  conflict               a webhook delivery that was taken before
        ├── RequestTooLarge       413  request_too_large
        ├── Overloaded            429  overloaded             carries Retry-After
        ├── InternalError         500  internal_error
        ├── UpstreamBroken        502  upstream_broken        died or spoke nonsense, also after the first byte
        │   └── TokenRefused      502  upstream_token_refused  an upstream that wants another token of the gateway
        ├── Unavailable           503  unavailable            carries Retry-After
        │   └── IdentityUnknown   503  identity_unknown       tailscaled can't tell who is calling
        └── UpstreamTimeout       504  upstream_timeout

`RequestError.code` is the *error class*: the only thing about an error that logs, metrics and the audit
record. `str(error)` may hold what the client sent (a model name, say), so it goes to that client alone.
"""

from typing import Any, ClassVar, Final

import msgspec


class BawnError(Exception):
    """Base of everything that bawn raises on purpose. The message says what is wrong and the mend."""


class SettingsError(BawnError):
    """Settings or a command line that can't work; names the key and what was expected."""


class RequestError(BawnError):
    """A request that can't be served; `status` and `code` are fixed for each class."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    kind: ClassVar[str] = "server_error"
    """`error.type` of the OpenAI dialect."""

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        """Which field of the request is at fault."""
        self.retry_after = retry_after
        """Seconds until another try makes sense."""

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that belong to the error."""
        return {} if self.retry_after is None else {"retry-after": str(max(1, round(self.retry_after)))}


class InvalidRequest(RequestError):
    status, code, kind = 400, "invalid_request", "invalid_request_error"


class ContextLengthExceeded(InvalidRequest):
    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, context_tokens: int, *, of_input: int | None = None) -> None:
        """`of_input` is the number of the text to embed that is too long."""
        what, param = ("your messages", "messages") if of_input is None else (f"input {of_input}", "input")
        # The wording is OpenAI's: assistants recognise it and compact the conversation.
        super().__init__(
            f"This model's maximum context length is {context_tokens} tokens. "
            f"However, {what} resulted in {prompt_tokens} tokens. Please reduce the length of the {param}.",
            param=param,
        )
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class Unauthorized(RequestError):
    status, code, kind = 401, "invalid_api_key", "authentication_error"


class Forbidden(RequestError):
    status, code, kind = 403, "forbidden", "permission_error"


class IdentityMismatch(Forbidden):
    code = "identity_mismatch"


class NodeNotAllowed(Forbidden):
    code = "node_not_allowed"


class NotFound(RequestError):
    status, code, kind = 404, "not_found", "invalid_request_error"


class ModelNotFound(NotFound):
    code = "model_not_found"

    def __init__(self, model: str, known: list[str]) -> None:
        super().__init__(
            f"The model `{model}` does not exist here. Known models: {', '.join(known) or 'none'}.", param="model"
        )


class MethodNotAllowed(RequestError):
    status, code, kind = 405, "method_not_allowed", "invalid_request_error"


class Conflict(RequestError):
    status, code, kind = 409, "conflict", "invalid_request_error"


class RequestTooLarge(RequestError):
    status, code, kind = 413, "request_too_large", "invalid_request_error"


class Overloaded(RequestError):
    status, code, kind = 429, "overloaded", "rate_limit_error"


class InternalError(RequestError):
    """Something of ours broke. The message says nothing about the request."""

    def __init__(self, message: str = "The server had an error while it processed the request.") -> None:
        super().__init__(message)


class UpstreamBroken(RequestError):
    status, code, kind = 502, "upstream_broken", "server_error"


class TokenRefused(UpstreamBroken):
    code = "upstream_token_refused"

    def __init__(self, upstream: str) -> None:
        # Passed on as 401, it would tell the client that its own key is wrong.
        super().__init__(
            f"The upstream {upstream} refused the gateway's token: its token_file must hold what the upstream expects."
        )


class Unavailable(RequestError):
    status, code, kind = 503, "unavailable", "server_error"


class IdentityUnknown(Unavailable):
    code = "identity_unknown"


class UpstreamTimeout(RequestError):
    status, code, kind = 504, "upstream_timeout", "server_error"


def _by_status() -> dict[int, type[RequestError]]:
    classes = (
        InvalidRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        RequestTooLarge,
        Overloaded,
    )
    return {c.status: c for c in (*classes, InternalError, UpstreamBroken, Unavailable, UpstreamTimeout)}


BY_STATUS: Final = _by_status()
"""The general class of each status."""


def openai_body(error: RequestError) -> dict[str, Any]:
    """The error body of the OpenAI dialect, which the OpenAI SDKs read in responses and in stream events."""
    body: dict[str, Any] = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    if isinstance(error, ContextLengthExceeded):
        body["n_prompt_tokens"] = error.prompt_tokens  # the names that llama-server gives these
        body["n_ctx"] = error.context_tokens
    return {"error": body}


def encode_openai(error: RequestError) -> bytes:
    """`openai_body`, as UTF-8 JSON."""
    return msgspec.json.encode(openai_body(error))
