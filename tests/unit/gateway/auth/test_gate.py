"""Who is let in, in each of the three modes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.contracts.errors import IdentityMismatch, IdentityUnknown, NodeNotAllowed, RequestError, Unauthorized
from bawn.contracts.record import RequestRecord
from bawn.gateway.auth.gate import Gate
from bawn.gateway.auth.keyring import Keyring
from bawn.gateway.auth.local_api import LocalApi, Peer
from bawn.gateway.auth.permissions import EVERYTHING, Permissions
from bawn.gateway.auth.settings import Identity, PersonSettings
from bawn.gateway.auth.store import KeyStore
from bawn.gateway.auth.whois import Whois
from support.whois import Tailscaled, node

PEOPLE = {
    "ada": PersonSettings(
        login="Ada@example.org", models=["default", "writer"], indexes=["code"], nodes=["ada-laptop"]
    ),
    "bob": PersonSettings(login="bob@", models=["coder"]),
}
ADAS = Permissions(frozenset({"coder", "writer"}), frozenset({"code"}))
BOBS = Permissions(frozenset({"coder"}), frozenset())
ADA, ADA_6, BOB, GPU, EVE, NOBODY = (
    ("100.64.0.9", 40000),
    ("fd7a:115c:a1e0::9", 40000),
    ("100.64.0.10", 40000),
    ("100.64.0.2", 40000),
    ("100.64.0.11", 40000),
    ("192.0.2.1", 40000),
)


@pytest.fixture
async def tailscaled(tmp_path: Path) -> AsyncIterator[Tailscaled]:
    daemon = Tailscaled()
    daemon.nodes = {
        ADA[0]: node("ada-laptop", "ada@example.org"),
        ADA_6[0]: node("ada-laptop", "ada@example.org"),
        BOB[0]: node("whatever-bob-calls-it", "bob"),
        GPU[0]: node("gpu", "", tags=["tag:gpu"]),
        EVE[0]: node("ada-laptop", "eve@example.org"),
    }
    async with daemon.running(tmp_path / "t.sock"):
        yield daemon


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.json")


@pytest.fixture
async def whois(tmp_path: Path) -> AsyncIterator[Whois]:
    asked = Whois(LocalApi(tmp_path / "t.sock"), fresh_s=0)
    yield asked
    await asked.aclose()


def gate_of(store: KeyStore, identity: Identity, whois: Whois) -> Gate:
    aliases = {"default": "coder"}
    return Gate(Keyring(store), PEOPLE, identity=identity, whois=whois, resolve=lambda name: aliases.get(name, name))


def scope(client: tuple[str, int] | None, key: str | None = None, **headers: str) -> dict[str, Any]:
    sent = headers | ({} if key is None else {"authorization": f"Bearer {key}"})
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()]
    return {"type": "http", "client": client, "headers": pairs}


async def admitted(gate: Gate, asked: dict[str, Any]) -> tuple[Permissions, dict[str, Any]]:
    record = RequestRecord(surface="chat")
    permissions = await gate.admit(asked, record)
    return permissions, msgspec.to_builtins(record)


async def refusal(gate: Gate, asked: dict[str, Any]) -> tuple[type[RequestError], dict[str, Any]]:
    record = RequestRecord(surface="chat")
    with pytest.raises(RequestError) as caught:
        await gate.admit(asked, record)
    return type(caught.value), msgspec.to_builtins(record)


async def test_a_key_used_from_its_owners_node_is_let_in(tailscaled: Tailscaled, store: KeyStore, whois: Whois):
    gate, key = gate_of(store, "key+tailnet", whois), store.add("ada")
    known = {"surface": "chat", "key": key.stored.id, "user": "ada", "node": "ada-laptop"}
    assert await admitted(gate, scope(ADA, key.text)) == (ADAS, known)
    assert await admitted(gate, scope(ADA_6, key.text)) == (ADAS, known)


async def test_a_node_name_that_the_settings_do_not_know_is_not_recorded(
    tailscaled: Tailscaled, store: KeyStore, whois: Whois
):
    gate, key = gate_of(store, "key+tailnet", whois), store.add("bob")
    known = {"surface": "chat", "key": key.stored.id, "user": "bob"}
    assert await admitted(gate, scope(BOB, key.text)) == (BOBS, known)


async def test_a_key_of_another_person_is_refused_and_both_are_recorded(
    tailscaled: Tailscaled, store: KeyStore, whois: Whois
):
    gate, key = gate_of(store, "key+tailnet", whois), store.add("bob")
    known = {"surface": "chat", "key": key.stored.id, "user": "ada", "node": "ada-laptop"}
    assert await refusal(gate, scope(ADA, key.text)) == (IdentityMismatch, known)


async def test_a_key_that_names_nobody_is_refused_on_whatever_node(
    tailscaled: Tailscaled, store: KeyStore, whois: Whois
):
    key = store.add("ada@example.org")
    assert (await refusal(gate_of(store, "key+tailnet", whois), scope(ADA, key.text)))[0] is IdentityMismatch
    assert (await refusal(gate_of(store, "key", whois), scope(ADA, key.text)))[0] is IdentityMismatch


@pytest.mark.parametrize("client", [GPU, EVE, NOBODY, ("127.0.0.1", 40000)], ids=["tagged", "eve", "no node", "local"])
@pytest.mark.parametrize("identity", ["tailnet", "key+tailnet"])
async def test_who_calls_from_no_node_of_a_person_is_refused_with_and_without_a_good_key(
    tailscaled: Tailscaled, store: KeyStore, whois: Whois, client: tuple[str, int], identity: Identity
):
    gate, key = gate_of(store, identity, whois), store.add("ada")
    kind, known = await refusal(gate, scope(client, key.text))
    assert kind is NodeNotAllowed
    assert "user" not in known
    assert "node" not in known


async def test_headers_that_tell_another_address_change_nothing(tailscaled: Tailscaled, store: KeyStore, whois: Whois):
    gate, key = gate_of(store, "key+tailnet", whois), store.add("ada")
    told = {
        "x_forwarded_for": ADA[0],
        "x_real_ip": ADA[0],
        "forwarded": f"for={ADA[0]}",
        "tailscale_user_login": "ada@example.org",
    }
    assert (await refusal(gate, scope(BOB, key.text, **told)))[0] is IdentityMismatch
    assert (await refusal(gate, scope(NOBODY, key.text, **told)))[0] is NodeNotAllowed


async def test_without_a_good_key_tailscaled_is_not_asked(tailscaled: Tailscaled, store: KeyStore, whois: Whois):
    gate, key = gate_of(store, "key+tailnet", whois), store.add("ada")
    assert (await refusal(gate, scope(ADA)))[0] is Unauthorized
    assert (await refusal(gate, scope(ADA, key.text + "x")))[0] is Unauthorized
    store.revoke(key.stored.id)
    assert (await refusal(gate, scope(ADA, key.text)))[0] is Unauthorized
    assert tailscaled.asked == []


async def test_in_mode_tailnet_the_nodes_owner_counts_and_no_key(tailscaled: Tailscaled, store: KeyStore, whois: Whois):
    gate, key = gate_of(store, "tailnet", whois), store.add("bob")
    known = {"surface": "chat", "user": "ada", "node": "ada-laptop"}
    for sent in (None, key.text, "bawn_0011223344_unknown"):
        assert await admitted(gate, scope(ADA, sent)) == (ADAS, known)


async def test_in_mode_key_the_key_counts_and_no_node(tailscaled: Tailscaled, store: KeyStore, whois: Whois):
    gate, key = gate_of(store, "key", whois), store.add("bob")
    known = {"surface": "chat", "key": key.stored.id, "user": "bob"}
    for client in (ADA, GPU, NOBODY, None):
        assert await admitted(gate, scope(client, key.text)) == (BOBS, known)
    assert tailscaled.asked == []


async def test_without_people_every_key_may_use_everything(store: KeyStore):
    key = store.add("this-machine")
    known = {"surface": "chat", "key": key.stored.id, "user": "this-machine"}
    assert await admitted(Gate(Keyring(store)), scope(NOBODY, key.text)) == (EVERYTHING, known)


async def test_while_tailscaled_can_not_tell_nobody_is_let_in(store: KeyStore, whois: Whois):
    key = store.add("ada")
    for identity in ("tailnet", "key+tailnet"):
        gate = gate_of(store, identity, whois)
        assert (await refusal(gate, scope(ADA, key.text)))[0] is IdentityUnknown
        assert (await refusal(gate, scope(None, key.text)))[0] is IdentityUnknown


def test_a_gate_that_could_not_tell_people_apart_is_not_made(store: KeyStore, whois: Whois):
    with pytest.raises(ValueError, match="known by whois and people"):
        Gate(Keyring(store), PEOPLE, identity="key+tailnet")
    with pytest.raises(ValueError, match="known by whois and people"):
        Gate(Keyring(store), None, identity="tailnet", whois=whois)


class _Told:
    """What `Whois` would tell, for thousands of cases without a socket."""

    def __init__(self, peer: Peer | None) -> None:
        self._peer = peer

    async def peer(self, _address: str, _port: int) -> Peer | None:
        return self._peer


_logins = st.sampled_from([None, "ada@example.org", "ADA@example.org", "bob", "bob@", "eve@example.org", ""])
_peers = st.none() | st.builds(Peer, st.sampled_from(["ada-laptop", "x"]), _logins)
_names = st.none() | st.sampled_from(["ada", "bob", "eve", ""])


@given(peer=_peers, key_of=_names, identity=st.sampled_from(["key", "tailnet", "key+tailnet"]))
async def test_whoever_is_let_in_is_a_person_of_the_settings_by_everything_that_the_mode_asks_for(
    tmp_path_factory: pytest.TempPathFactory, peer: Peer | None, key_of: str | None, identity: Identity
):
    store = KeyStore(tmp_path_factory.mktemp("keys") / "keys.json")
    key = None if key_of is None else store.add(key_of).text
    login = None if peer is None or peer.login is None else peer.login.lower().rstrip("@")
    owner = {"ada@example.org": "ada", "bob": "bob"}.get(login or "")
    owner_counts, key_counts = "tailnet" in identity, "key" in identity
    expected = owner if owner_counts else key_of
    if expected not in PEOPLE or (key_counts and key_of != expected):
        expected = None
    told: Any = _Told(peer)
    record = RequestRecord(surface="chat")
    try:
        await gate_of(store, identity, told).admit(scope(ADA, key), record)
    except RequestError:
        assert expected is None
    else:
        assert record.user == expected
