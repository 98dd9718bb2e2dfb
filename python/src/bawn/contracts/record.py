"""The content-free record of one request: what logs, metrics and later the audit may know of it.

There is no free-text field. Every string is an identifier that we made or configured, or one of a fixed set.
"""

from typing import Literal

import msgspec

from bawn.contracts.hints import Urgency

Surface = Literal["chat", "completions", "fim", "embeddings", "models", "mcp", "webhook", "health", "other"]
"""Which API was called; never the path that the client wrote."""


ToolName = Literal[
    "search_code",
    "find_symbol",
    "grep",
    "read_file",
    "repo_map",
    "search_docs",
    "search_libraries",
    "list_indexes",
]
"""The MCP tools."""


class RequestRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request. Times are seconds; a field that is not known is left out."""

    surface: Surface
    status: int = 0
    error: str | None = None
    """Error class: `RequestError.code`."""
    key: str | None = None
    """Public id of the API key."""
    user: str | None = None
    """Who is calling, by their key in the settings' `people`; without those, whom the API key names."""
    node: str | None = None
    """The tailnet node that the call comes from, where the settings name it as one of this person's."""
    model: str | None = None
    """A configured model name; a name that a client made up is never recorded."""
    upstream: str | None = None
    """Configured name of the upstream that answered."""
    tool: ToolName | None = None
    """MCP tool that was called."""
    streamed: bool = False
    attempts: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    urgency: Urgency | None = None
    broken_message: int | None = None
    """Index of the message at which the prompt parted from the same session's last one: no cache is good from there."""
    broken_tokens: int | None = None
    """Tokens that could have been taken from a cache but for that."""
    queue_s: float | None = None
    first_byte_s: float | None = None
    total_s: float | None = None
    cancelled: bool = False
    """The client left before the end."""
