"""Keys and the file that holds their hashes."""

import hashlib
import hmac
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bawn.contracts.errors import SettingsError, Unauthorized
from bawn.gateway.auth import keys as keys_module
from bawn.gateway.auth.keyring import Keyring
from bawn.gateway.auth.keys import parse, verify
from bawn.gateway.auth.store import KeyStore


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state" / "keys.json")


def test_only_the_hash_of_a_secret_reaches_the_disk(store: KeyStore):
    key = store.add("ada")
    prefix, key_id, secret = key.text.split("_", 2)
    assert (prefix, key_id) == ("bawn", key.stored.id)
    assert len(key_id) >= 8
    assert len(secret) == 43  # 32 bytes in base64
    on_disk = "".join(p.read_text() for p in store.path.parent.iterdir())
    assert secret not in on_disk
    assert hashlib.sha256(secret.encode()).hexdigest() in on_disk
    assert secret not in repr(key)


def test_the_keys_file_is_its_owners_alone(store: KeyStore):
    store.add("ada")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) & 0o077 == 0


def test_a_key_verifies_and_every_change_to_it_does_not(store: KeyStore):
    key = store.add("ada")
    known = store.read()
    assert verify(known, key.text) == key.stored
    other = store.add("bob")
    for wrong in (
        key.text[:-1],
        key.text + "A",
        key.text.replace("bawn_", "bawm_"),
        f"bawn_{key.stored.id}_",
        f"bawn_{key.stored.id}_{other.secret}",
        f"bawn__{key.secret}",
        f"bawn_{'0' * 10}_{key.secret}",
        "",
        "bawn",
        "ü" * 20,
        "bawn_" + "x" * 10_000,
    ):
        assert verify(known, wrong) is None


def test_an_unknown_id_costs_the_same_comparison_as_a_wrong_secret(store: KeyStore, monkeypatch: pytest.MonkeyPatch):
    key = store.add("ada")
    compared: list[tuple[int, int]] = []

    def spy(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    compare = hmac.compare_digest
    monkeypatch.setattr(keys_module.hmac, "compare_digest", spy)
    for text in (key.text, key.text[:-1], f"bawn_{'0' * 10}_{key.secret}", "nonsense"):
        verify(store.read(), text)
    assert compared == [(64, 64)] * 4


def test_a_secret_may_hold_underscores():
    assert parse("bawn_0011223344_a_b-c") == ("0011223344", "a_b-c")


def test_keys_added_at_the_same_time_are_all_kept(store: KeyStore):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(store.add, [f"person {n}" for n in range(24)]))
    assert set(store.read()) == {key.stored.id for key in added}
    assert len(added) == 24


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(store: KeyStore, monkeypatch: pytest.MonkeyPatch):
    key = store.add("ada")
    before = store.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        store.add("bob")
    assert store.path.read_bytes() == before
    assert {p.name for p in store.path.parent.iterdir()} == {"keys.json", "keys.json.lock"}
    assert set(store.read()) == {key.stored.id}


def test_revoking_names_an_id_that_does_not_exist(store: KeyStore):
    key = store.add("ada")
    with pytest.raises(SettingsError, match="no key has the id 'nope'"):
        store.revoke("nope")
    assert store.revoke(key.stored.id) == key.stored
    assert store.read() == {}


def test_a_broken_keys_file_is_an_error_that_does_not_quote_it(store: KeyStore):
    store.add("ada")
    store.path.write_text(json.dumps({"keys": [{"id": "CANARY"}]}))
    with pytest.raises(SettingsError, match="is not a keys file") as caught:
        store.read()
    assert "CANARY" not in str(caught.value)


def test_the_keyring_sees_keys_that_come_and_go(store: KeyStore):
    keyring = Keyring(store)
    with pytest.raises(Unauthorized):
        keyring.key({"authorization": "Bearer bawn_0011223344_x"})
    key = store.add("ada")
    assert keyring.key({"authorization": f"Bearer {key.text}"}) == key.stored
    assert keyring.key({"authorization": f"bearer  {key.text} "}) == key.stored
    assert keyring.key({"x-api-key": key.text}) == key.stored
    store.revoke(key.stored.id)
    with pytest.raises(Unauthorized):
        keyring.key({"x-api-key": key.text})


def test_a_keys_file_that_breaks_lets_nobody_in(store: KeyStore):
    keyring = Keyring(store)
    key = store.add("ada")
    assert keyring.key({"x-api-key": key.text})
    store.path.write_text("{")
    with pytest.raises(Unauthorized):
        keyring.key({"x-api-key": key.text})
