"""Calls to the bridge of this laptop, and what their failures mean to a person at a terminal."""

from pathlib import Path

import httpx
import msgspec

from bawn.bridge.local_token import token_path
from bawn.bridge.settings import DEFAULT_PORT, BridgeSettings, default_path
from bawn.contracts.errors import BawnError, SettingsError
from bawn.contracts.openai import ModelCard, ModelList
from bawn.service.settings import read_secret, read_settings


class BridgeUnusable(BawnError):
    """The bridge, or the gateway behind it, can't do what was asked; says why and the mend."""


class _ErrorBody(msgspec.Struct, frozen=True):
    message: str = ""
    code: str | int | None = None
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class _Error(msgspec.Struct, frozen=True):
    error: _ErrorBody = _ErrorBody()


def bridge_url() -> str:
    """Where this laptop's bridge listens: as its settings file says, else the default."""
    path = default_path()
    port = read_settings(path, BridgeSettings).port if path.exists() else DEFAULT_PORT
    return f"http://127.0.0.1:{port}"


def local_token(path: Path | None = None) -> str:
    """The token that the bridge made.

    Raises:
        SettingsError: there is none yet, or it can't be read.
    """
    where = path or token_path()
    if not where.exists():
        raise SettingsError(f"{where} is missing: `bawn bridge` makes this token when it is first started.")
    return read_secret(where)


def client_for(url: str, token: str, *, read_s: float) -> httpx.AsyncClient:
    """A client of the bridge; no proxy variable may send its requests elsewhere."""
    return httpx.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(connect=5.0, read=read_s, write=30.0, pool=5.0),
        trust_env=False,
    )


def not_running(url: str) -> BridgeUnusable:
    """The bridge does not answer."""
    return BridgeUnusable(f"The bridge at {url} is not running: start it with `bawn bridge`.")


def no_answer(url: str) -> BridgeUnusable:
    """The bridge took the request and nothing came."""
    return BridgeUnusable(f"Nothing came through the bridge in time: {url}/ shows whether it reaches the gateway.")


def explained(status: int, body: bytes, url: str) -> BridgeUnusable:
    """An error answer as one sentence; the bridge's and the gateway's own messages name the mend."""
    message = error_of(body).message
    if not message:
        return BridgeUnusable(f"What answers at {url} with status {status} is not the bridge: see --bridge.")
    return BridgeUnusable(message)


def error_of(body: bytes) -> _ErrorBody:
    """The error object of an answer or of a stream event; empty where there is none."""
    try:
        return msgspec.json.decode(body, type=_Error).error
    except msgspec.DecodeError:
        return _ErrorBody()


async def fetch_models(client: httpx.AsyncClient) -> list[ModelCard]:
    """The models that the gateway offers for text; those that embed are nothing to talk to.

    Raises:
        BridgeUnusable: bridge or gateway can't be reached, or refuse.
    """
    url = str(client.base_url).rstrip("/")
    try:
        answer = await client.get("/v1/models")
    except httpx.ConnectError as error:
        raise not_running(url) from error
    except httpx.TransportError as error:
        raise no_answer(url) from error
    if answer.status_code != 200:
        raise explained(answer.status_code, answer.content, url)
    try:
        return [card for card in msgspec.json.decode(answer.content, type=ModelList).data if card.generates]
    except msgspec.DecodeError as error:
        raise SettingsError(f"What answers at {url} is not the bridge: see --bridge.") from error
