"""Finding what can't work in the gateway's settings before anything starts."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bawn.contracts.errors import SettingsError
from bawn.gateway.auth.check import people_problems
from bawn.gateway.auth.store import KeyStore
from bawn.gateway.settings import GatewaySettings, UpstreamSettings
from bawn.gateway.webhooks.check import webhook_problems
from bawn.search.placement import check_index_file
from bawn.service.settings import read_secret


def problems(settings: GatewaySettings) -> list[str]:
    """One sentence for each thing that is wrong, beginning with its key; empty when all is well."""
    return list(
        itertools.chain(
            _limits(settings),
            _upstreams(settings.upstreams),
            _aliases(settings),
            people_problems(settings.identity, settings.people, _usable(settings)),
            _files(settings),
            webhook_problems(settings.webhooks),
        )
    )


def _limits(settings: GatewaySettings) -> Iterator[str]:
    if not 0 < settings.port < 65536:
        yield f"port: {settings.port} is not between 1 and 65535."
    timeouts = {f"timeouts.{key}": value for key, value in _seconds(settings.timeouts)}
    for key, value in (timeouts | dict(_seconds(settings))).items():
        if value <= 0:
            yield f"{key}: {value:g} seconds must be more than 0."
    for key in ("max_body_bytes", "max_in_flight"):
        if getattr(settings, key) <= 0:
            yield f"{key}: must be more than 0."


def _seconds(settings: object) -> Iterator[tuple[str, float]]:
    fields: tuple[str, ...] = getattr(settings, "__struct_fields__", ())
    return ((key, getattr(settings, key)) for key in fields if key.endswith("_s"))


def _upstreams(upstreams: list[UpstreamSettings]) -> Iterator[str]:
    if not upstreams:
        yield "upstreams: at least one is needed."
    for name, count in Counter(u.name for u in upstreams).items():
        if count > 1:
            yield f"upstreams: {count} of them are named {name!r}; names must differ."
    for number, upstream in enumerate(upstreams):
        for message in _upstream(upstream):
            yield f"upstreams[{number}].{message}"


def _upstream(upstream: UpstreamSettings) -> Iterator[str]:
    if not upstream.name:
        yield "name: must not be empty."
    url = urlsplit(upstream.url)
    try:
        port_ok = url.port is None or url.port > 0
    except ValueError:
        port_ok = False
    if url.scheme not in ("http", "https") or not url.hostname or not port_ok:
        yield f"url: {upstream.url!r} is not of the form http://host:port."
    elif url.username or url.password:
        yield "url: credentials don't belong in a URL; put the token in a file and name it in token_file."
    elif url.path.rstrip("/").endswith("/v1"):
        yield f"url: {upstream.url!r} must be without /v1, which is appended."
    elif url.query or url.fragment:
        yield f"url: {upstream.url!r} must be without query and fragment."
    if upstream.token_file is not None:
        try:
            read_secret(Path(upstream.token_file))
        except SettingsError as error:
            yield f"token_file: {error}"
    for model, count in Counter(upstream.models).items():
        if not model:
            yield "models: a name must not be empty."
        elif count > 1:
            yield f"models: {model!r} is listed {count} times."


def _usable(settings: GatewaySettings) -> set[str] | None:
    """What clients can ask for; None where upstreams say only when they run what they serve."""
    if not all(u.models for u in settings.upstreams):
        return None
    return {model for u in settings.upstreams for model in u.models} | set(settings.aliases)


def _aliases(settings: GatewaySettings) -> Iterator[str]:
    served = {model for u in settings.upstreams for model in u.models}
    every_model_is_listed = all(u.models for u in settings.upstreams)
    for alias, model in settings.aliases.items():
        if alias in served:
            yield f"aliases.{alias}: an upstream serves a model of this name; choose another."
        if model in settings.aliases:
            yield f"aliases.{alias}: {model!r} is itself an alias; name the model."
        elif every_model_is_listed and model not in served:
            yield f"aliases.{alias}: no upstream serves {model!r}; known: {', '.join(sorted(served)) or 'none'}."


def _files(settings: GatewaySettings) -> Iterator[str]:
    # A keys file that isn't there yet is fine: `bawn keys add` makes it.
    try:
        KeyStore(settings.keys_path).read()
    except SettingsError as error:
        yield f"keys_file: {error}"
    # The same holds for an index: it is found when `bawn index` has made it.
    if settings.index_dir is None:
        return
    folder = Path(settings.index_dir)
    if folder.exists() and not folder.is_dir():
        yield f"index_dir: {settings.index_dir} is not a folder."
        return
    try:
        check_index_file(folder)
    except SettingsError as error:
        yield f"index_dir: {error}"
