"""Checking the API key of each request against the keys file, as it is now."""

import logging
from collections.abc import Mapping

from bawn.contracts.errors import SettingsError, Unauthorized
from bawn.gateway.auth.keys import StoredKey, verify
from bawn.gateway.auth.store import KeyStore
from bawn.service.logs import event

_log = logging.getLogger("bawn.gateway.auth")


class Keyring:
    """Knows the keys in the store; one that is added or revoked counts from the next request on."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._keys: dict[str, StoredKey] = {}
        self._seen: tuple[int, ...] | None = None

    def key(self, headers: Mapping[str, str]) -> StoredKey:
        """The key in `Authorization: Bearer` or `x-api-key`.

        Raises:
            Unauthorized: no key, or one that is not in the store.
        """
        text = _sent_key(headers)
        if text is None:
            raise Unauthorized("An API key is needed: send it as `Authorization: Bearer bawn_…` or as `x-api-key`.")
        key = verify(self._current(), text)
        if key is None:
            raise Unauthorized("This API key is not known here: it is mistyped or was revoked.")
        return key

    def _current(self) -> dict[str, StoredKey]:
        # One stat a request costs microseconds; every write replaces the file, so that its inode changes too.
        try:
            stat = self._store.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except OSError:
            seen = ()
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = self._store.read()
            except SettingsError:
                # Refusing is the safe side: the file may be broken because someone wanted a key gone.
                self._keys = {}
                event(_log, "keys_unreadable", level=logging.ERROR)
            else:
                event(_log, "keys_read", keys=len(self._keys))
        return self._keys


def _sent_key(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or None
