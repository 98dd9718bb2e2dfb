"""The settings files that the services of a node read, rendered from the fleet."""

from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.fleet.problems import listed
from bawn.fleet.schema import BRIDGE_PORT, GATEWAY_PORT, MODEL_SERVER_PORT, SERVING_ROLES, Fleet, Node


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What a node knows and the fleet doesn't: where it listens and where its files are. All paths are absolute."""

    host: str = "127.0.0.1"
    """Address to listen on. A node's tailnet address is known only when it has joined, so it can't be in the fleet."""
    weights_dir: str = "/var/lib/bawn-models"
    index_dir: str = "/var/lib/bawn-index/index"
    keys_file: str = "/var/lib/bawn-gateway/keys.json"
    key_file: str = "/etc/bawn/gateway.key"
    """A laptop's API key of the gateway."""
    upstream_token_file: str = "/run/credentials/bawn-gateway.service/model-server-token"  # noqa: S105 - a path
    """Where the gateway finds the bearer token that the model servers ask for: a credential of its unit."""
    token_file: str = "/run/credentials/bawn-model-server.service/token"  # noqa: S105 - a path
    """Where a model server finds it."""
    state_dir: str = "/var/lib/bawn-model-server"
    """Where a model server keeps the beginnings of prompts while it is stopped: the state directory of its unit."""
    state_key_file: str = "/run/credentials/bawn-model-server.service/state-key"
    """Where it finds the secret that encrypts them: a credential of its unit."""


def render(fleet: Fleet, name: str, places: Places) -> dict[str, bytes]:
    """File name → content for the node `name`, byte-identical for equal fleets; empty for one without a service.

    The fleet must have passed its checks.

    Raises:
        SettingsError: there is no such node.
    """
    node = fleet.nodes.get(name)
    if node is None:
        raise SettingsError(f"--node: {name} is no node of the fleet; known: {listed(fleet.nodes)}.")
    if node.role == "gateway":
        return {"gateway.json": _encoded(_gateway(fleet, places))}
    if node.role in SERVING_ROLES:
        return {"model-server.json": _encoded(_model_server(fleet, node, places))}
    if node.role == "laptop":
        return {"bridge.json": _encoded(_bridge(fleet, name, places))}
    return {}


def write(files: dict[str, bytes], folder: Path) -> list[Path]:
    """Write `files` into `folder`, which is made where it isn't there; each is the old or the new one, never half.

    Raises:
        SettingsError: the folder can't be written to.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in sorted(files.items()):
            fresh = folder / f"{name}.new"
            fresh.write_bytes(content)
            written.append(fresh.replace(folder / name))
    except OSError as error:
        raise SettingsError(f"--out: {folder}: can't be written: {error.strerror}.") from error
    return written


def _gateway(fleet: Fleet, places: Places) -> dict[str, Any]:
    upstreams = [
        {
            "name": name,
            "url": f"http://{fleet.address(name)}:{MODEL_SERVER_PORT}",
            "token_file": places.upstream_token_file,
            "models": sorted({*node.models, *([node.embedding_model] if node.embedding_model else [])}),
        }
        for name, node in fleet.of_role(*SERVING_ROLES).items()
    ]
    settings = {
        "host": places.host,
        "port": GATEWAY_PORT,
        "upstreams": upstreams,
        "aliases": fleet.aliases,
        "keys_file": places.keys_file,
        "identity": "key+tailnet",
        "people": {key: _person(fleet, key) for key in fleet.people},
    }
    # Without repositories nothing makes an index, and the gateway offers no search.
    return settings | ({"index_dir": places.index_dir} if fleet.repositories else {})


def _person(fleet: Fleet, key: str) -> dict[str, Any]:
    person = fleet.people[key]
    return {
        "login": person.login,
        "models": sorted(person.models),
        "indexes": sorted(person.indexes),
        "nodes": [name for name, node in fleet.of_role("laptop").items() if node.owner == key],
    }


def _model_server(fleet: Fleet, node: Node, places: Places) -> dict[str, Any]:
    name = node.models[0]
    model = fleet.models[name]
    weights = PurePosixPath(places.weights_dir)
    settings = {
        "host": places.host,
        "port": MODEL_SERVER_PORT,
        "model": str(weights / model.file),
        "alias": name,
        "n_ctx": model.context_tokens,
        "n_slots": model.slots,
        "token_file": places.token_file,
    }
    if node.state_on_disk is not None:
        settings["state_dir"] = places.state_dir
    if node.state_on_disk == "encrypted":
        settings["state_key_file"] = places.state_key_file
    if node.embedding_model is None:
        return settings
    embedding = fleet.models[node.embedding_model]
    return settings | {
        "embedding_model": str(weights / embedding.file),
        "embedding_alias": node.embedding_model,
    }


def _bridge(fleet: Fleet, name: str, places: Places) -> dict[str, Any]:
    gateway = fleet.gateway_of(name)
    if gateway is None:
        raise SettingsError(f"nodes.{name}.gateway: nothing says which gateway its bridge uses.")
    return {
        "host": places.host,
        "port": BRIDGE_PORT,
        "gateway_url": f"http://{fleet.address(gateway)}:{GATEWAY_PORT}",
        "key_file": places.key_file,
    }


def _encoded(settings: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(settings, order="sorted"), indent=2) + b"\n"
