"""OpenCode's configuration: a provider, its models and the MCP server, in opencode.json or opencode.jsonc."""

import os
from pathlib import Path
from typing import Any, Final

from bawn.bridge.clients.connection import Connection, answer_tokens
from bawn.bridge.clients.jsonc import Jsonc

_OURS: Final = (("provider", "bawn"), ("mcp", "bawn"), ("model",), ("small_model",))
_SCHEMA: Final = "https://opencode.ai/config.json"


def render(connection: Connection) -> dict[tuple[str, ...], Any]:
    """Our entries: path in the file to value. The token stays in its own file, which OpenCode reads."""
    token = f"{{file:{connection.portable_token_file}}}"
    models: dict[str, Any] = {}
    for card in connection.models:
        models[card.id] = {"name": card.id}
        if card.context_length:
            models[card.id]["limit"] = {
                "context": card.context_length,
                "output": answer_tokens(card.context_length),
            }
    return {
        ("provider", "bawn"): {
            "npm": "@ai-sdk/openai-compatible",
            "name": "bawn",
            "options": {"baseURL": f"{connection.url}/v1", "apiKey": token},
            "models": models,
        },
        ("mcp", "bawn"): {
            "type": "remote",
            "url": f"{connection.url}/mcp",
            "enabled": True,
            "oauth": False,
            "headers": {"Authorization": f"Bearer {token}"},
        },
        ("model",): f"bawn/{connection.main.id}",
        ("small_model",): f"bawn/{connection.small}",
    }


def _is_ours(path: tuple[str, ...], value: Any) -> bool:
    return value is not None and (len(path) == 2 or str(value).startswith("bawn/"))


class OpenCode:
    """See `bawn.bridge.clients.client.Client`."""

    name = "OpenCode"
    token_in_file = False

    def locate(self, project: Path | None) -> Path:
        """opencode.jsonc where it exists (OpenCode reads it last), else opencode.json."""
        base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        folder = project or Path(base) / "opencode"
        commented = folder / "opencode.jsonc"
        return commented if commented.exists() else folder / "opencode.json"

    def holds_ours(self, text: str) -> bool:
        """Whether any of our entries is there."""
        document = Jsonc(text)
        return any(_is_ours(path, document.get(path)) for path in _OURS)

    def merged(self, text: str | None, connection: Connection) -> str:
        """Our provider and MCP server replace older ones of ours; a model that the user chose stays chosen."""
        document = Jsonc(text or "")
        if text is None or not text.strip():
            document.set(("$schema",), _SCHEMA)
        for path, value in render(connection).items():
            present = document.get(path)
            if len(path) == 2 or present is None or _is_ours(path, present):
                document.set(path, value)
        return document.text

    def without(self, text: str, original: str | None) -> str:
        """Entries that `original` had come back; objects that only we needed go."""
        document = Jsonc(text)
        before = Jsonc(original or "")
        for path in _OURS:
            if not _is_ours(path, document.get(path)):
                continue
            if before.get(path) is not None:
                document.set(path, before.get(path))
                continue
            document.remove(path)
            if len(path) == 2 and document.get(path[:1]) == {} and before.get(path[:1]) is None:
                document.remove(path[:1])
        return document.text

    def remarks(self, text: str | None, connection: Connection) -> list[str]:
        """Says where the user's own choice of a model stays."""
        chosen = Jsonc(text or "").get(("model",))
        if chosen is None or _is_ours(("model",), chosen):
            return []
        return [f"Your model stays {chosen}: choose bawn/{connection.main.id} with /models or `opencode -m`."]
