"""API keys: `bawn_<id>_<secret>`."""

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

_PREFIX: Final = "bawn"
_SECRET_BYTES: Final = 32
_MAX_LENGTH: Final = 256


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a key."""

    id: str
    """Public: in lists, logs and metrics."""
    name: str
    """Whose it is, as the operator wrote it."""
    created: str
    """UTC, ISO 8601."""
    sha256: str
    """Hex digest of the secret."""


class NewKey(msgspec.Struct, frozen=True):
    """A key at the one moment when its secret is known."""

    stored: StoredKey
    secret: str

    @property
    def text(self) -> str:
        """What the client sends."""
        return f"{_PREFIX}_{self.stored.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"NewKey({self.stored.id!r}, secret=***)"


def new_key(name: str, created: str) -> NewKey:
    """Make a key from the system's random source."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    stored = StoredKey(id=secrets.token_hex(5), name=name, created=created, sha256=digest(secret))
    return NewKey(stored, secret)


def digest(secret: str) -> str:
    """Hex SHA-256 of a secret.

    A fast hash is right here: slow ones protect secrets that can be guessed, and nobody guesses 256 random bits.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def parse(text: str) -> tuple[str, str] | None:
    """Id and secret of what a client sent; `None` when it has not the form of a key."""
    if len(text) > _MAX_LENGTH:
        return None
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")  # ids have no underscore, secrets may
    return (key_id, secret) if prefix == _PREFIX and key_id and secret else None


_NOBODY: Final = StoredKey(id="", name="", created="", sha256=digest(secrets.token_urlsafe(_SECRET_BYTES)))


def verify(keys: dict[str, StoredKey], text: str) -> StoredKey | None:
    """The key that `text` is, or `None`.

    An unknown id costs the same hash and the same comparison as a wrong secret, so that time tells no ids.
    """
    key_id, secret = parse(text) or ("", "")
    stored = keys.get(key_id, _NOBODY)
    matches = hmac.compare_digest(digest(secret), stored.sha256)
    return stored if matches and stored is not _NOBODY else None
