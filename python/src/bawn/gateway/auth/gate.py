"""Letting requests in: who is calling, and what they may use."""

from collections.abc import Callable, Mapping
from typing import Any

from litestar.datastructures import Headers

from bawn.contracts.errors import IdentityMismatch, IdentityUnknown, NodeNotAllowed
from bawn.contracts.record import RequestRecord
from bawn.gateway.auth.keyring import Keyring
from bawn.gateway.auth.keys import StoredKey
from bawn.gateway.auth.permissions import EVERYTHING, Permissions, permissions_of
from bawn.gateway.auth.settings import Identity, PersonSettings, same_login
from bawn.gateway.auth.whois import Whois


class Gate:
    """Knows callers by their API key, by the tailnet node that they call from, or by both."""

    def __init__(
        self,
        keyring: Keyring,
        people: Mapping[str, PersonSettings] | None = None,
        *,
        identity: Identity = "key",
        whois: Whois | None = None,
        resolve: Callable[[str], str] = str,
    ) -> None:
        """`people` None: every key may use everything. `resolve` gives the model that an alias stands for.

        Raises:
            ValueError: an `identity` other than key without `whois` or without `people`.
        """
        if identity != "key" and (whois is None or people is None):
            raise ValueError("a tailnet's callers are known by whois and people")
        self._keyring = keyring
        self._by_key = identity != "tailnet"
        self._whois = None if identity == "key" else whois
        self._people = people
        known = people or {}
        self._name_of = {same_login(person.login): name for name, person in known.items()}
        self._permissions = {name: permissions_of(person, resolve) for name, person in known.items()}

    async def admit(self, scope: Any, record: RequestRecord) -> Permissions:
        """What the caller of an ASGI connection may use; `record` gets what is known of them, refused or not.

        Raises:
            Unauthorized: no key, or an unknown one.
            IdentityMismatch: a key of somebody else than the person whose node it is used from, or of nobody.
            NodeNotAllowed: the call comes from no node of a person.
            IdentityUnknown: tailscaled can't tell who is calling.
        """
        if self._whois is None:
            return self._of_key(self._key(scope, record), record)
        key = self._key(scope, record) if self._by_key else None
        name = await self._owner(self._whois, scope, record)
        if key is not None and key.name != name:
            raise _mismatch(key.name in self._permissions)
        return self._permissions[name]

    def _key(self, scope: Any, record: RequestRecord) -> StoredKey:
        key = self._keyring.key(Headers.from_scope(scope))
        record.key = key.id
        return key

    def _of_key(self, key: StoredKey, record: RequestRecord) -> Permissions:
        if self._people is not None and key.name not in self._people:
            raise _mismatch(known=False)
        record.user = key.name
        return EVERYTHING if self._people is None else self._permissions[key.name]

    async def _owner(self, whois: Whois, scope: Any, record: RequestRecord) -> str:
        """The person whose node calls."""
        # The connection's own address: headers are whatever a client writes.
        client: tuple[str, int] | None = scope.get("client")
        if client is None:
            raise IdentityUnknown("The gateway can't tell who is calling: the connection has no address.")
        peer = await whois.peer(*client)
        if peer is None:
            raise NodeNotAllowed("This call comes from no node of the tailnet: join it, and call the gateway there.")
        if peer.login is None:
            raise NodeNotAllowed("This node is in the tailnet by a tag, as servers are: its owner must join it.")
        name = self._name_of.get(same_login(peer.login))
        if name is None or self._people is None:
            raise NodeNotAllowed("This node's owner is nobody who may use this gateway: the fleet must name them.")
        record.user = name
        if peer.node in self._people[name].nodes:
            record.node = peer.node
        return name


def _mismatch(known: bool) -> IdentityMismatch:
    if known:
        return IdentityMismatch("This API key belongs to somebody else than the node that it is used from.")
    return IdentityMismatch(
        "This API key names nobody who may use this gateway: it must be made for a person as the fleet calls them."
    )
