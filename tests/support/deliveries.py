"""Webhook deliveries, signed as each forge signs them."""

import hashlib
import hmac
import json

from bawn.gateway.webhooks.forges import Forge

SECRET = "a webhook secret for tests"
NOW = 1_790_000_000.0
BODY = json.dumps({"ref": "refs/heads/main", "repository": {"name": "CANARY-repository"}}).encode()


def delivery_headers(
    forge: Forge, body: bytes = BODY, *, secret: str = SECRET, told: str = "d1", event: str = ""
) -> dict[str, str]:
    """The headers of a delivery of `forge`, a push unless `event` says otherwise."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if forge == "gitlab":
        return {"x-gitlab-event": event or "Push Hook", "x-gitlab-event-uuid": told, "x-gitlab-token": secret}
    signed = (
        {"x-hub-signature-256": f"sha256={signature}"} if forge == "github" else {f"x-{forge}-signature": signature}
    )
    return {f"x-{forge}-event": event or "push", f"x-{forge}-delivery": told, **signed}
