"""The two keys of an index: one that writes it, one that may do nothing but read it.

Meilisearch makes a key of the master key and the key's uid (HMAC-SHA256, in hexadecimal digits), so that a uid that is
always the same gives a key that can be made anew wherever the master key is, and need not be kept.
"""

import hashlib
import hmac
from typing import Final, Literal
from uuid import UUID

import msgspec

from bawn.search.meilisearch.publishing import standby
from bawn.search.meilisearch.server import Server

Purpose = Literal["indexer", "search"]

_ACTIONS: Final[dict[Purpose, list[str]]] = {
    "indexer": [
        "search", "documents.add", "documents.get", "documents.delete", "indexes.create", "indexes.get",
        "indexes.delete", "indexes.swap", "settings.get", "settings.update", "tasks.get",
    ],
    "search": ["search", "documents.get"],
}  # fmt: skip


class ScopedKey(msgspec.Struct, frozen=True):
    """A key that Meilisearch is told to make."""

    purpose: Purpose
    uid: str
    actions: list[str]
    indexes: list[str]

    def text(self, master_key: str) -> str:
        """The key itself."""
        return hmac.new(master_key.encode(), self.uid.encode(), hashlib.sha256).hexdigest()


def scoped_keys(name: str) -> list[ScopedKey]:
    """The keys of the index `name`. What a key may do can't be changed, so that another right is another uid."""
    made: list[ScopedKey] = []
    for purpose, actions in _ACTIONS.items():
        indexes = [name] if purpose == "search" else [name, standby(name)]
        digest = hashlib.sha256(msgspec.json.encode(("bawn", purpose, actions, indexes))).digest()
        made.append(ScopedKey(purpose, str(UUID(bytes=digest[:16], version=4)), actions, indexes))
    return made


def register(server: Server, name: str) -> None:
    """Tell the server, which is asked with the master key, of the keys of `name`; those that it knows stay.

    Raises:
        RequestError: the server can't be reached, refuses the master key, or fails.
    """
    for key in scoped_keys(name):
        if server.get(f"/keys/{key.uid}", dict[str, object]) is None:
            body = {
                "name": f"bawn {key.purpose}",
                "uid": key.uid,
                "actions": key.actions,
                "indexes": key.indexes,
                "expiresAt": None,
            }
            server.create("/keys", body)
