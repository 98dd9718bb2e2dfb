"""Where an index directory's texts are embedded: `embedding` in its `index.json`."""

from urllib.parse import urlsplit

from bawn.contracts.errors import SettingsError
from bawn.service.settings import Settings


class EmbeddingServer(Settings, frozen=True):
    """A server of `/v1/embeddings`."""

    url: str
    """`http://host:port`; `/v1/…` is appended."""
    token_file: str | None = None
    """File with the bearer token that it wants. A name is that of a credential; see `credential_path`."""


class EmbeddingSettings(Settings, frozen=True):
    """The model, and who runs it."""

    model: str
    """As the servers name it."""
    servers: list[EmbeddingServer]
    """Asked in this order; the next where one can't be reached."""


def check_embedding(settings: EmbeddingSettings, *, origin: str) -> None:
    """Look whether settings can work.

    Raises:
        SettingsError: they can't; begins with `origin`.
    """
    if not settings.model:
        raise SettingsError(f"{origin}.model: is empty; it is the name that the servers give the model.")
    if not settings.servers:
        raise SettingsError(f"{origin}.servers: is empty; name one that serves the model.")
    for number, server in enumerate(settings.servers):
        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise SettingsError(f"{origin}.servers[{number}].url: {server.url!r} is not of the form http://host:port.")
