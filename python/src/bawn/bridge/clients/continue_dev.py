"""Continue's configuration: models and the MCP server, in config.yaml."""

import os
from pathlib import Path
from typing import Any, Final

from bawn.bridge.clients.connection import Connection, answer_tokens
from bawn.bridge.clients.yaml_items import Item, YamlLists

_PREFIX: Final = "bawn "
_SERVER: Final = "bawn"
_NEW: Final = "name: bawn\nversion: 1.0.0\nschema: v1\n"


def render(connection: Connection) -> dict[str, list[Item]]:
    """Our items of each list. Continue has no way to read a file, so that the token stands here."""
    models: list[Item] = []
    for card in connection.models:
        model: dict[str, Any] = {
            "name": f"{_PREFIX}{card.id}",
            "provider": "openai",
            "model": card.id,
            "apiBase": f"{connection.url}/v1",
            "apiKey": connection.token,
            "roles": ["chat", "edit", "apply", *(["autocomplete"] if card.fim else [])],
        }
        if card.context_length:
            model["defaultCompletionOptions"] = {
                "contextLength": card.context_length,
                "maxTokens": answer_tokens(card.context_length),
            }
        models.append(model)
    server = {
        "name": _SERVER,
        "type": "streamable-http",
        "url": f"{connection.url}/mcp",
        "requestOptions": {"headers": {"Authorization": f"Bearer {connection.token}"}},
    }
    return {"models": models, "mcpServers": [server]}


def _ours(document: YamlLists) -> list[tuple[str, Item]]:
    models = [("models", item) for item in document.items("models") if str(item["name"]).startswith(_PREFIX)]
    return models + [("mcpServers", item) for item in document.items("mcpServers") if item["name"] == _SERVER]


class Continue:
    """See `bawn.bridge.clients.client.Client`."""

    name = "Continue"
    token_in_file = True

    def locate(self, project: Path | None) -> Path:
        """config.yaml (config.yml where only that exists) of the user or of the project's `.continue`."""
        home = Path(os.environ.get("CONTINUE_GLOBAL_DIR") or Path.home() / ".continue")
        folder = project / ".continue" if project else home
        short = folder / "config.yml"
        long = folder / "config.yaml"
        return short if short.exists() and not long.exists() else long

    def holds_ours(self, text: str) -> bool:
        """Whether any of our items is there."""
        return bool(_ours(YamlLists(text)))

    def merged(self, text: str | None, connection: Connection) -> str:
        """Our items stand at the end of their lists; older ones of ours that differ are replaced."""
        document = YamlLists(text if text and text.strip() else _NEW)
        wanted = [(key, item) for key, items in render(connection).items() for item in items]
        present = _ours(document)
        if present == wanted:
            return document.text
        for key, item in present:
            document.remove(key, str(item["name"]))
        for key, item in wanted:
            document.append(key, item)
        return document.text

    def without(self, text: str, original: str | None) -> str:
        """Items that `original` had under our names come back."""
        document = YamlLists(text)
        for key, item in _ours(document):
            document.remove(key, str(item["name"]))
        for key, item in _ours(YamlLists(original or "")):
            document.append(key, item)
        return document.text

    def remarks(self, text: str | None, connection: Connection) -> list[str]:
        """Says which of several models Continue starts with."""
        others = YamlLists(text or "").items("models")
        if all(str(item["name"]).startswith(_PREFIX) for item in others):
            return []
        return [f"Choose `{_PREFIX}{connection.main.id}` in Continue's list of models: yours come first."]
