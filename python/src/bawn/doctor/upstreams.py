"""One model server, as the gateway's host sees it."""

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.health import Health
from bawn.contracts.openai import ModelList
from bawn.doctor.asking import NoAnswer, addresses_of, ask
from bawn.doctor.hops import Fault
from bawn.doctor.tailscaled import Status
from bawn.gateway.settings import UpstreamSettings
from bawn.service.settings import read_secret
from bawn.service.tailnet import in_tailnet


async def ask_upstream(upstream: UpstreamSettings, tailnet: Status | None) -> str:
    """The models that an upstream lists. Asking starts nothing.

    Raises:
        Fault: it can't be reached, isn't ready, or refuses the token.
    """
    name, host = upstream.name, urlsplit(upstream.url).hostname or ""
    addresses = await addresses_of(host)
    if tailnet is not None and any(in_tailnet(one) for one in addresses or [host]):
        peer = tailnet.peer_called(host, addresses)
        if peer is None or (not peer.online and tailnet.coordinated):
            raise Fault(
                "upstream_not_in_tailnet",
                f"The model server {name} ({host}) is not visible in the tailnet, or not there now.",
                "Look whether its host is up and has joined (`tailscale status` there), and what `bawn fleet show` "
                "lets the gateway reach.",
            )
    if not addresses:
        raise Fault(
            "upstream_name_unknown",
            f"The name of the model server {name}, {host}, has no address here.",
            "Mend its url in the gateway's settings, or look at MagicDNS: `resolvectl status`.",
        )
    try:
        health = await ask(f"{upstream.url.rstrip('/')}/health")
        token, unreadable = _token(upstream)
        listed = None if unreadable else await ask(f"{upstream.url.rstrip('/')}/v1/models", token=token)
    except NoAnswer as error:
        raise Fault(
            "upstream_stopped" if error.why == "refused" else "upstream_unreachable",
            f"The model server {name} at {upstream.url} doesn't answer.",
            "On its host, `bawn doctor`; `sudo systemctl start bawn-model-server`. A rented pod is started by the "
            "next request.",
        ) from error
    if health.status == 503:
        raise _not_ready(name, health.body)
    if listed is None:
        return "answers (its token is for the service alone)"
    if listed.status in (401, 403):
        raise Fault(
            "upstream_token_refused",
            f"The model server {name} refuses the gateway's token.",
            f"Put the same token into the file of its host and into the gateway's "
            f"({upstream.token_file or 'none is set'}).",
        )
    try:
        models = [card.id for card in msgspec.json.decode(listed.body, type=ModelList).data]
    except msgspec.DecodeError as error:
        raise Fault(
            "upstream_strange",
            f"What answers at {upstream.url} is no OpenAI-compatible server (status {listed.status}).",
            "Mend its url in the gateway's settings.",
        ) from error
    missing = [model for model in upstream.models if model not in models]
    if missing:
        raise Fault(
            "upstream_model_missing",
            f"The model server {name} doesn't serve {', '.join(missing)}; it serves {', '.join(models) or 'nothing'}.",
            "Mend `models` of the upstream in the gateway's settings, or `alias` on its host.",
        )
    return ", ".join(models)


def _token(upstream: UpstreamSettings) -> tuple[str | None, bool]:
    """The token, and whether it can't be read from here."""
    if upstream.token_file is None:
        return None, False
    try:
        return read_secret(Path(upstream.token_file)), False
    except SettingsError:
        return None, True


def _not_ready(name: str, body: bytes) -> Fault:
    try:
        state = msgspec.json.decode(body, type=Health).state
    except msgspec.DecodeError:
        state = "degraded"
    if state == "loading":
        return Fault(
            "model_loading",
            f"The model server {name} is still loading its model.",
            "Wait: a large file takes minutes. `journalctl -u bawn-model-server` on its host tells when it is done.",
        )
    return Fault(
        "upstream_unwell",
        f"The model server {name} says that it can't work ({state}).",
        "On its host, `bawn doctor` and `journalctl -u bawn-model-server`.",
    )
