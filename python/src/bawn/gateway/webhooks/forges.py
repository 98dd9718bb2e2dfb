"""What each forge sends with a delivery: its headers, and how its signature is checked.

- GitHub: `X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the body>`
  (docs.github.com, "Validating webhook deliveries").
- Gitea and Forgejo: `X-Gitea-Signature` and `X-Forgejo-Signature`, the same HMAC as bare hex.
- GitLab: `webhook-signature: v1,<base64 HMAC-SHA256 of "<webhook-id>.<webhook-timestamp>.<body>">` where a signing
  token (`whsec_…`) is set (standardwebhooks.com); older ones send the secret itself as `X-Gitlab-Token`.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from bawn.contracts.errors import InvalidRequest, Unauthorized

Forge = Literal["github", "gitlab", "gitea", "forgejo"]
Headers = Mapping[str, str]
"""Lower-case names."""

_MAX_ID: Final = 128
_MAX_AGE_S: Final = 300.0
"""How far a signed time may lie from ours; what the Standard Webhooks libraries take."""
_SIGNING_TOKEN: Final = "whsec_"  # noqa: S105 - a prefix


class Delivery(msgspec.Struct, frozen=True):
    """One delivery whose signature is good."""

    id: str
    """The forge's own; the same when the forge sends it again."""
    push: bool


class _Names(msgspec.Struct, frozen=True):
    event: str
    pushes: tuple[str, ...]
    ids: tuple[str, ...]


_NAMES: Final[Mapping[Forge, _Names]] = {
    "github": _Names("x-github-event", ("push",), ("x-github-delivery",)),
    "gitea": _Names("x-gitea-event", ("push",), ("x-gitea-delivery",)),
    "forgejo": _Names("x-forgejo-event", ("push",), ("x-forgejo-delivery",)),
    "gitlab": _Names(
        # A retry keeps `webhook-id` and `Idempotency-Key`; the UUID is all that older ones send.
        "x-gitlab-event",
        ("Push Hook", "Tag Push Hook"),
        ("webhook-id", "idempotency-key", "x-gitlab-event-uuid"),
    ),
}


def check_delivery(
    forge: Forge, headers: Headers, body: bytes, secret: str, *, now: Callable[[], float] = time.time
) -> Delivery:
    """The delivery that `headers` and `body` are; nothing of the body is read before its signature is good.

    Raises:
        Unauthorized: the signature is missing, wrong, or (where the time is signed) too old.
        InvalidRequest: signed, but not a delivery of this forge.
    """
    if not _signed(forge, headers, body, secret, now):
        raise Unauthorized("The delivery is not signed with this gateway's webhook secret.")
    names = _NAMES[forge]
    event = headers.get(names.event, "")
    delivery_id = next((headers[name] for name in names.ids if headers.get(name)), "")
    if not event or not 0 < len(delivery_id) <= _MAX_ID:
        raise InvalidRequest(f"A delivery of {forge} carries {names.event} and {names.ids[-1]}.")
    return Delivery(delivery_id, event in names.pushes)


def _signed(forge: Forge, headers: Headers, body: bytes, secret: str, now: Callable[[], float]) -> bool:
    if forge == "gitlab":
        if "webhook-signature" in headers:  # what it promises is kept: a good token does not mend a bad signature
            return _standard_webhook(headers, body, secret, now)
        return _same(headers.get("x-gitlab-token", ""), secret)
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if forge == "github":
        return _same(headers.get("x-hub-signature-256", ""), f"sha256={expected}")
    return _same(headers.get(f"x-{forge}-signature", ""), expected)


def _standard_webhook(headers: Headers, body: bytes, secret: str, now: Callable[[], float]) -> bool:
    told, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not told or not sent.isascii() or not sent.isdigit() or abs(now() - int(sent[:20])) > _MAX_AGE_S:
        return False
    signed = hmac.new(signing_key(secret), f"{told}.{sent}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(signed).decode()
    # Several, separated by spaces, while a token is being replaced.
    return any(_same(one, expected) for one in headers["webhook-signature"].split(" ")[:4])


def signing_key(secret: str) -> bytes:
    """The key of a signing token: what follows `whsec_`, in base64; another secret's own bytes."""
    if secret.startswith(_SIGNING_TOKEN):
        try:
            return base64.b64decode(secret.removeprefix(_SIGNING_TOKEN), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
