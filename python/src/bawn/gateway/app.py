"""The gateway put together: settings in, a Litestar app out."""

import contextlib
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

from litestar import Litestar

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import INDEXES
from bawn.gateway import status
from bawn.gateway.auth.gate import Gate
from bawn.gateway.auth.keyring import Keyring
from bawn.gateway.auth.local_api import LocalApi
from bawn.gateway.auth.store import KeyStore
from bawn.gateway.auth.whois import Whois
from bawn.gateway.check import problems
from bawn.gateway.ledger import Ledger
from bawn.gateway.mcp import mount
from bawn.gateway.mcp.mount import McpEndpoint
from bawn.gateway.mcp.tools import Indexes, Tools
from bawn.gateway.metrics import Metrics
from bawn.gateway.relay import routes
from bawn.gateway.relay.backend import Backend
from bawn.gateway.relay.catalogue import Catalogue
from bawn.gateway.relay.health import HealthChecks
from bawn.gateway.relay.routing import Router
from bawn.gateway.relay.surfaces import Relay
from bawn.gateway.settings import GatewaySettings, UpstreamSettings
from bawn.gateway.webhooks import routes as webhook_routes
from bawn.gateway.webhooks.receiving import WebhookReceiver
from bawn.gateway.webhooks.settings import WebhookSettings
from bawn.relay.timeouts import Timeouts
from bawn.relay.upstream import Upstream
from bawn.search.tools import IndexSearch
from bawn.service.http import make_app
from bawn.service.logs import event
from bawn.service.serving import serve
from bawn.service.settings import read_secret

_log = logging.getLogger("bawn.gateway")


def gateway_app(settings: GatewaySettings) -> Litestar:
    """The app, which checks its upstreams while it runs.

    Raises:
        SettingsError: something in the settings can't work; names the first such thing.
    """
    wrong = problems(settings)
    if wrong:
        raise SettingsError(wrong[0])
    backends = [_backend(upstream, settings.timeouts) for upstream in settings.upstreams]
    metrics = Metrics(backends)
    ledger = Ledger(metrics, max_in_flight=settings.max_in_flight)
    catalogue = Catalogue(backends, settings.aliases)
    whois = None if settings.identity == "key" else Whois(LocalApi(Path(settings.tailscaled_socket)))
    gate = Gate(
        Keyring(KeyStore(settings.keys_path)),
        settings.people,
        identity=settings.identity,
        whois=whois,
        resolve=catalogue.resolve,
    )
    checks = HealthChecks(backends, settings.health_interval_s)
    relay = Relay(
        gate,
        ledger,
        Router(catalogue, checks),
        timeouts=settings.timeouts,
        keepalive_s=settings.keepalive_s,
        upstream_wait_s=settings.upstream_wait_s,
    )
    folder = settings.index_dir
    indexes: Indexes = {} if folder is None else {index: IndexSearch(Path(folder), index) for index in INDEXES}
    endpoint = McpEndpoint(Tools(indexes), gate, ledger)

    @contextlib.asynccontextmanager
    async def neighbours(_app: Litestar) -> AsyncGenerator[None]:
        try:
            async with checks.running():
                yield
        finally:
            for backend in backends:
                await backend.upstream.aclose()
            if whois is not None:
                await whois.aclose()

    return make_app(
        [*routes.ROUTES, *mount.ROUTES, *status.ROUTES, *webhook_routes.ROUTES],
        max_body_bytes=settings.max_body_bytes,
        lifespan=[neighbours, endpoint.running],
        gate=gate,
        ledger=ledger,
        catalogue=catalogue,
        relay=relay,
        metrics=metrics,
        readiness=status.Readiness(backends, indexes["code"].ready if indexes else None),
        mcp=endpoint,
        webhooks=None if settings.webhooks is None else _receiver(settings.webhooks),
    )


def _backend(upstream: UpstreamSettings, timeouts: Timeouts) -> Backend:
    token = None if upstream.token_file is None else read_secret(Path(upstream.token_file))
    return Backend(Upstream(upstream.name, upstream.url, token=token, timeouts=timeouts), upstream.models)


def _receiver(settings: WebhookSettings) -> WebhookReceiver:
    return WebhookReceiver(settings, read_secret(Path(settings.secret_file)))


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT; answers under way get `drain_s` to end.

    Raises:
        SettingsError: the settings can't work, or the port is taken.
    """
    app = gateway_app(settings)
    _tell_identity(settings)
    await serve(app, settings.host, settings.port, name="gateway", drain_s=settings.drain_s)


def _tell_identity(settings: GatewaySettings) -> None:
    """Say at the start whom this gateway lets in, since a looser choice than meant shows nowhere else."""
    notes = {
        "key": "the API key alone counts, from wherever this port is reachable",
        "tailnet": "the owner of the calling node counts, without an API key",
        "key+tailnet": "the API key must belong to the owner of the calling node",
    }
    people = settings.people
    event(
        _log,
        "identity",
        mode=settings.identity,
        note=notes[settings.identity],
        people="every key may use everything" if people is None else len(people),
    )
