"""What an operator can set on the gateway."""

from pathlib import Path

from bawn.gateway.auth.settings import SOCKET, Identity, PersonSettings
from bawn.gateway.webhooks.settings import WebhookSettings
from bawn.relay.timeouts import Timeouts
from bawn.service.settings import Settings, state_dir


class UpstreamSettings(Settings, frozen=True):
    """One OpenAI-compatible server that answers requests."""

    name: str
    """Appears in `/ready`, metrics and logs."""
    url: str
    """`http://host:port`; `/v1/…` is appended."""
    token_file: str | None = None
    """File with the bearer token that the server wants."""
    models: list[str] = []
    """Names that it serves; empty: whatever its `/v1/models` lists."""


class GatewaySettings(Settings, frozen=True):
    """The gateway's settings file."""

    upstreams: list[UpstreamSettings]
    """Several that serve one model share its requests."""
    host: str = "127.0.0.1"
    """Address to listen on: on a tailnet the node's tailnet address, since 0.0.0.0 is every network."""
    port: int = 8700
    aliases: dict[str, str] = {}
    """Public name → model: what clients are configured with stays when the model behind it changes."""
    keys_file: str | None = None
    """Where the hashes of the API keys are kept; `keys.json` in the state directory by default."""
    identity: Identity = "key"
    """What callers are known by. `key`: their API key alone. `tailnet`: the owner of the node that they call from, whom
    tailscaled on this host knows; no key is asked for. `key+tailnet`: both, and the key must be that owner's."""
    people: dict[str, PersonSettings] | None = None
    """Who may use what; API keys name people by these keys. Left out, every key may use everything."""
    tailscaled_socket: str = SOCKET
    """Where tailscaled is asked who is calling."""
    index_dir: str | None = None
    """The embedded search index that `/mcp` answers from."""
    webhooks: WebhookSettings | None = None
    """Push webhooks of forges, at `/webhooks/<forge>`; see `bawn/gateway/webhooks/settings.py`."""
    timeouts: Timeouts = Timeouts()
    keepalive_s: float = 15.0
    """While nothing comes from the upstream, a waiting client hears from us this often."""
    upstream_wait_s: float = 90.0
    """An upstream that answered so recently and can't be reached now may be restarting: requests wait for it, at most
    until so long after its last answer. Autocomplete does not wait."""
    health_interval_s: float = 10.0
    """Between two checks of an upstream."""
    max_body_bytes: int = 32 * 1024 * 1024
    max_in_flight: int = 256
    """Requests under way at once; one more is answered 429."""
    drain_s: float = 30.0
    """How long answers under way may take to end when the gateway is told to stop."""

    @property
    def keys_path(self) -> Path:
        """`keys_file`, or its default."""
        return default_keys_path() if self.keys_file is None else Path(self.keys_file)


def default_keys_path() -> Path:
    """Where `bawn keys` and the gateway look when nothing else is said."""
    return state_dir() / "keys.json"
