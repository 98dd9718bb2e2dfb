"""Whether the assistants that are configured on this machine are configured for its bridge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bawn.bridge.clients.client import BrokenFile
from bawn.bridge.clients.continue_dev import Continue
from bawn.bridge.clients.jsonc import Jsonc
from bawn.bridge.clients.opencode import OpenCode
from bawn.bridge.clients.yaml_items import YamlLists
from bawn.bridge.local_client import bridge_url
from bawn.contracts.errors import SettingsError
from bawn.doctor.hops import Fault
from bawn.service.settings import read_secret


class Configured(msgspec.Struct, frozen=True):
    """One assistant that has entries of ours."""

    name: str
    command: str
    """What writes its configuration anew."""
    file: Path
    urls: list[str]
    """Of its requests and of its MCP server; without `/v1` and `/mcp`."""
    tokens: list[str | None]
    """None for one whose file can't be read."""
    model: str | None
    """The model that it starts with, or that we offer it first."""

    def __repr__(self) -> str:
        return f"Configured({self.name!r}, {str(self.file)!r}, tokens=***)"


def configured(project: Path) -> list[Configured]:
    """The assistants of this user and of `project` that have entries of ours.

    Raises:
        Fault: a configuration can't be read.
    """
    found = [_opencode(path) for path in _files(OpenCode(), project)]
    found += [_continue(path) for path in _files(Continue(), project)]
    return [one for one in found if one is not None]


def check(one: Configured, url: str, token: str) -> None:
    """Compare an assistant's entries with the bridge's address and token.

    Raises:
        Fault: they differ.
    """
    elsewhere = "" if url == bridge_url() else f" --bridge {url}"
    again = f"Run `{one.command}{elsewhere}`, and start {one.name} anew."
    if any(here != url for here in one.urls):
        raise Fault(
            "assistant_elsewhere",
            f"{one.name} is configured for another address than this machine's bridge, {url} ({one.file}).",
            again,
        )
    if any(here != token for here in one.tokens):
        raise Fault("assistant_token_wrong", f"{one.name} has not the bridge's token ({one.file}).", again)


def _files(client: OpenCode | Continue, project: Path) -> Iterator[Path]:
    places = dict.fromkeys((client.locate(None), client.locate(project)))
    return (path for path in places if path.is_file())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault("assistant_unreadable", f"{path} can't be read as text.", "Mend the file.") from error


def _broken(path: Path, error: BrokenFile) -> Fault:
    return Fault("assistant_unreadable", f"{path}: {error}.", "Mend the file, or restore its backup beside it.")


def _opencode(path: Path) -> Configured | None:
    try:
        document = Jsonc(_text(path))
        provider, server = document.get(("provider", "bawn")), document.get(("mcp", "bawn"))
        model = document.get(("model",))
    except BrokenFile as error:
        raise _broken(path, error) from error
    if not isinstance(provider, dict):
        return None
    options: dict[str, Any] = provider.get("options") or {}
    urls, tokens = [str(options.get("baseURL", "")).removesuffix("/v1")], [_resolved(options.get("apiKey"))]
    if isinstance(server, dict):
        urls.append(str(server.get("url", "")).removesuffix("/mcp"))
        bearer = str((server.get("headers") or {}).get("Authorization", ""))
        tokens.append(_resolved(bearer.removeprefix("Bearer ")))
    chosen = str(model or "")
    return Configured(
        "OpenCode",
        "bawn connect opencode",
        path,
        urls,
        tokens,
        chosen.removeprefix("bawn/") if chosen.startswith("bawn/") else None,
    )


def _resolved(value: object) -> str | None:
    """What OpenCode makes of a value: `{file:PATH}` is the file's content."""
    text = str(value or "")
    if not (text.startswith("{file:") and text.endswith("}")):
        return text
    try:
        return read_secret(Path(text[6:-1]).expanduser())
    except (SettingsError, RuntimeError):
        return None


def _continue(path: Path) -> Configured | None:
    try:
        document = YamlLists(_text(path))
        models = [item for item in document.items("models") if str(item["name"]).startswith("bawn ")]
        servers = [item for item in document.items("mcpServers") if item["name"] == "bawn"]
    except BrokenFile as error:
        raise _broken(path, error) from error
    if not models:
        return None
    urls = [str(item.get("apiBase", "")).removesuffix("/v1") for item in models]
    tokens: list[str | None] = [str(item.get("apiKey", "")) for item in models]
    for item in servers:
        urls.append(str(item.get("url", "")).removesuffix("/mcp"))
        headers = (item.get("requestOptions") or {}).get("headers") or {}
        tokens.append(str(headers.get("Authorization", "")).removeprefix("Bearer "))
    return Configured("Continue", "bawn connect continue", path, urls, tokens, str(models[0].get("model") or ""))
