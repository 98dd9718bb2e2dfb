"""Settings of the push webhooks."""

from pathlib import Path

from bawn.gateway.webhooks.forges import Forge
from bawn.service.settings import Settings, state_dir


class WebhookSettings(Settings, frozen=True):
    """`webhooks` of the gateway's settings; without it `/webhooks/…` is 404."""

    secret_file: str
    """File with the secret that is entered at the forge, 16 characters or more; of GitLab the signing token."""
    forges: tuple[Forge, ...] = ("github", "gitlab", "gitea", "forgejo")
    """Whose deliveries are taken, each at `/webhooks/<forge>`."""
    trigger_file: str | None = None
    """Replaced at each push, for whoever starts the indexer to watch; `pushed` in the state directory by default."""
    deliveries_file: str | None = None
    """Hashes of the deliveries that were taken; `webhook-deliveries.json` in the state directory by default."""
    max_body_bytes: int = 1024 * 1024

    @property
    def trigger_path(self) -> Path:
        """`trigger_file`, or its default."""
        return state_dir() / "pushed" if self.trigger_file is None else Path(self.trigger_file)

    @property
    def deliveries_path(self) -> Path:
        """`deliveries_file`, or its default."""
        return state_dir() / "webhook-deliveries.json" if self.deliveries_file is None else Path(self.deliveries_file)
