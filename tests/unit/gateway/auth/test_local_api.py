"""What the gateway makes of tailscaled's answers, over a real Unix socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bawn.contracts.errors import IdentityUnknown
from bawn.gateway.auth.local_api import LocalApi, Peer
from support.whois import Tailscaled, node

ADA = "100.64.0.9"


@pytest.fixture
async def tailscaled(tmp_path: Path) -> AsyncIterator[Tailscaled]:
    daemon = Tailscaled()
    daemon.nodes = {
        ADA: node("ada-laptop", "ada@example.org"),
        "fd7a:115c:a1e0::9": node("ada-laptop", "ada@example.org"),
        "100.64.0.2": node("gpu", "", tags=["tag:gpu"]),
        "100.64.0.3": node("old", "ada@example.org", Expired=True),
    }
    async with daemon.running(tmp_path / "t.sock"):
        yield daemon


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[LocalApi]:
    client = LocalApi(tmp_path / "t.sock", within_s=2)
    yield client
    await client.aclose()


async def test_a_node_is_told_with_its_name_and_its_owner(tailscaled: Tailscaled, api: LocalApi):
    assert await api.whois(ADA, 40000) == Peer("ada-laptop", "ada@example.org")
    assert tailscaled.asked == ["100.64.0.9:40000"]
    assert tailscaled.hosts == {"local-tailscaled.sock"}


async def test_an_ipv6_address_is_asked_for_in_brackets(tailscaled: Tailscaled, api: LocalApi):
    assert await api.whois("fd7a:115c:a1e0::9", 40000) == Peer("ada-laptop", "ada@example.org")
    assert tailscaled.asked == ["[fd7a:115c:a1e0::9]:40000"]


async def test_a_tagged_node_is_nobodys(tailscaled: Tailscaled, api: LocalApi):
    assert await api.whois("100.64.0.2", 1) == Peer("gpu", None)


async def test_a_tagged_node_is_nobodys_whatever_login_comes_with_it(tailscaled: Tailscaled, api: LocalApi):
    tailscaled.nodes[ADA] = node("x", "", tags=["tag:gpu"]) | {"UserProfile": {"LoginName": "ada@example.org"}}
    assert await api.whois(ADA, 1) == Peer("x", None)


async def test_an_address_that_is_no_nodes_and_a_node_whose_key_has_expired_are_nobody(
    tailscaled: Tailscaled, api: LocalApi
):
    assert await api.whois("192.0.2.1", 1) is None
    assert await api.whois("100.64.0.3", 1) is None


@pytest.mark.parametrize("state", ["NoState", "Starting", "NeedsLogin", "Stopped"])
async def test_a_tailscaled_that_is_not_in_its_tailnet_knows_nobody_and_that_is_no_refusal(
    tailscaled: Tailscaled, api: LocalApi, state: str
):
    tailscaled.nodes, tailscaled.state = {}, state
    with pytest.raises(IdentityUnknown, match="is not in its tailnet"):
        await api.whois(ADA, 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"garbage"), "in no known form"),
        ((200, b"\xff\xfe"), "in no known form"),
        ((200, b""), "in no known form"),
        ((200, b"null"), "in no known form"),
        ((200, b"{}"), "in no known form"),
        ((200, json.dumps({"Node": {"ComputedName": "x"}}).encode()), "in no known form"),
        ((200, json.dumps({"Node": None, "UserProfile": {"LoginName": "ada@example.org"}}).encode()), "no known form"),
        ((200, b" " * 300_000), "in no known form"),
        ((404, b"no match for IP:port\n"), "is not in its tailnet"),  # and the same to `status`
        ((403, b"whois access denied\n"), "refuses to tell"),
        ((500, b""), "refuses to tell"),
        ((302, b""), "refuses to tell"),
    ],
)
async def test_an_answer_that_can_not_be_relied_on_is_none(
    tailscaled: Tailscaled, api: LocalApi, answer: tuple[int, bytes], said: str
):
    tailscaled.answer = answer
    with pytest.raises(IdentityUnknown, match=said) as caught:
        await api.whois(ADA, 1)
    assert (caught.value.status, caught.value.code, caught.value.headers) == (
        503,
        "identity_unknown",
        {"retry-after": "1"},
    )


async def test_a_node_without_a_login_is_nobodys(tailscaled: Tailscaled, api: LocalApi):
    tailscaled.nodes[ADA] = node("x", "")
    assert await api.whois(ADA, 1) == Peer("x", None)


async def test_a_socket_that_is_absent_or_dead_is_no_open_door(tmp_path: Path, api: LocalApi):
    with pytest.raises(IdentityUnknown, match="can't be reached"):
        await api.whois(ADA, 1)
    async with Tailscaled().running(tmp_path / "t.sock"):
        (tmp_path / "t.sock").rename(tmp_path / "kept")
    (tmp_path / "kept").rename(tmp_path / "t.sock")
    assert (tmp_path / "t.sock").is_socket()
    with pytest.raises(IdentityUnknown, match="can't be reached"):
        await api.whois(ADA, 1)


async def test_a_daemon_that_takes_questions_and_never_answers_is_given_up(tailscaled: Tailscaled, tmp_path: Path):
    tailscaled.silent = True
    impatient = LocalApi(tmp_path / "t.sock", within_s=0.1)
    with pytest.raises(IdentityUnknown, match="doesn't answer"):
        await impatient.whois(ADA, 1)
    tailscaled.silent = False
    assert await impatient.whois(ADA, 1) == Peer("ada-laptop", "ada@example.org")
    await impatient.aclose()


async def test_a_daemon_that_restarts_is_asked_anew(tmp_path: Path, api: LocalApi):
    daemon = Tailscaled()
    daemon.nodes = {ADA: node("ada-laptop", "ada@example.org")}
    for _ in range(3):
        async with daemon.running(tmp_path / "t.sock"):
            assert await api.whois(ADA, 1) == Peer("ada-laptop", "ada@example.org")
        with pytest.raises(IdentityUnknown):
            await api.whois(ADA, 1)
