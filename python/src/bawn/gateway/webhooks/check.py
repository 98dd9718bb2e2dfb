"""Finding what can't work in the settings of the webhooks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bawn.contracts.errors import SettingsError
from bawn.gateway.webhooks.settings import WebhookSettings
from bawn.service.settings import read_secret

_LEAST_SECRET: Final = 16


def webhook_problems(settings: WebhookSettings | None) -> Iterator[str]:
    """One sentence for each thing that is wrong, beginning with its key."""
    if settings is None:
        return
    try:
        if len(read_secret(Path(settings.secret_file))) < _LEAST_SECRET:
            yield f"webhooks.secret_file: the secret has less than {_LEAST_SECRET} characters and could be guessed."
    except SettingsError as error:
        yield f"webhooks.secret_file: {error}"
    if not settings.forges:
        yield "webhooks.forges: at least one is needed; leave `webhooks` out to take none."
    if settings.max_body_bytes <= 0:
        yield "webhooks.max_body_bytes: must be more than 0."
    for key in ("trigger_file", "deliveries_file"):
        path = getattr(settings, key)
        if path is not None and not Path(path).parent.is_dir():
            yield f"webhooks.{key}: the folder {Path(path).parent} does not exist."
