"""What is made of tailscaled's answers, over a real Unix socket."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bawn.doctor.hops import Fault
from bawn.doctor.tailscaled import ask_tailscaled, check_running
from bawn.doctor.way import Way
from bawn.service.tailnet import in_tailnet
from support.local_api import local_api, status

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OWN = status()["Self"]
PEER = status()["Peer"]["nodekey:aa"]


async def judged(socket: Path, answer: Any) -> str:
    """The code of the fault in a daemon's answer, or nothing."""
    async with local_api(socket, answer):
        try:
            check_running(await ask_tailscaled(socket), NOW)
        except Fault as fault:
            return fault.code if fault.mend else "no mend"
    return ""


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(), ""),
        (status(Self={**OWN, "KeyExpiry": None}), ""),
        (status("NeedsLogin"), "needs_login"),
        (status("NeedsLogin", Self=None, Peer=None), "needs_login"),
        (status("NeedsLogin", Self={**OWN, "KeyExpiry": "2026-10-31T00:00:00Z"}), "node_key_expired"),
        (status(Self={**OWN, "Expired": True}), "node_key_expired"),
        (status("NeedsMachineAuth"), "needs_approval"),
        (status("Stopped"), "tailscale_down"),
        (status("Starting"), "tailscale_starting"),
        (status("NoState"), "tailscale_starting"),
        (status(Self={**OWN, "KeyExpiry": "0001-01-01T00:00:00Z"}), ""),
        (status(Self={**OWN, "KeyExpiry": "2026-10-31T00:00:00.123456789+02:00"}), "node_key_expired"),
        (b"[]", "tailscaled_strange"),
        (b"no", "tailscaled_strange"),
    ],
)
async def test_each_state_of_the_daemon_has_its_own_word(tmp_path: Path, answer: Any, code: str) -> None:
    assert await judged(tmp_path / "t.sock", answer) == code


async def test_only_the_status_is_asked_for(tmp_path: Path) -> None:
    async with local_api(tmp_path / "t.sock", status()) as asked:
        await ask_tailscaled(tmp_path / "t.sock")
    assert asked == ["/localapi/v0/status"]


async def test_a_daemon_that_is_not_there_or_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(Fault) as absent:
        await ask_tailscaled(tmp_path / "none.sock")
    assert absent.value.code == "tailscaled_absent"
    left_behind = tmp_path / "t.sock"
    async with local_api(left_behind, status()):
        pass
    if not left_behind.exists():  # newer Pythons remove it
        left_behind.write_bytes(b"")
    with pytest.raises(Fault) as dead:
        await ask_tailscaled(left_behind)
    assert dead.value.code == "tailscaled_silent"


@pytest.mark.parametrize(
    ("host", "peers", "code"),
    [
        ("100.64.0.2", {"a": PEER}, ""),
        ("100.64.0.2", None, "gateway_not_visible"),
        ("100.64.0.3", {"a": PEER}, "gateway_not_visible"),
        ("gateway.tailnet.invalid", {"a": PEER}, ""),
        ("Gateway", {"a": PEER}, ""),
        ("gate", {"a": PEER}, "gateway_not_visible"),
        ("100.64.0.2", {"a": {**PEER, "Online": False}}, "gateway_offline"),
        ("100.64.0.2", {"a": {**PEER, "Expired": True}}, "gateway_key_expired"),
        ("100.64.0.9", None, ""),
    ],
)
async def test_the_gateway_must_be_a_visible_peer_or_this_very_node(
    tmp_path: Path, host: str, peers: Any, code: str
) -> None:
    way = Way(tmp_path / "t.sock")
    way.leads_to(host, 8700)
    async with local_api(tmp_path / "t.sock", status(Peer=peers)):
        assert (await way.tailscaled()).looked
    try:
        assert (await way.policy()).looked
        found = ""
    except Fault as fault:
        found = fault.code
    assert found == code


async def test_a_tailnet_whose_server_is_away_goes_on_and_what_it_said_of_the_gateway_is_old(tmp_path: Path) -> None:
    way = Way(tmp_path / "t.sock")
    way.leads_to("100.64.0.2", 8700)
    away = status(Self={**OWN, "Online": False}, Peer={"a": {**PEER, "Online": False}})
    async with local_api(tmp_path / "t.sock", away):
        assert "not reached" in (await way.tailscaled()).detail
    assert (await way.policy()).looked


async def test_a_name_that_the_tailnet_does_not_give_says_whether_magicdns_is_on(tmp_path: Path) -> None:
    for tailnet, mend in (({"MagicDNSEnabled": True}, "accept-dns"), ({"MagicDNSEnabled": False}, "MagicDNS is off")):
        way = Way(tmp_path / "t.sock")
        way.leads_to("gateway.tailnet.invalid", 8700)
        async with local_api(tmp_path / "t.sock", status(CurrentTailnet=tailnet)):
            await way.tailscaled()
        with pytest.raises(Fault) as unknown:
            await way.name()
        assert (unknown.value.code, mend in unknown.value.mend) == ("name_unknown", True)


async def test_no_tailnet_is_asked_of_where_the_gateway_is_not_in_one(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "192.0.2.1"):
        way = Way(tmp_path / "none.sock")
        way.leads_to(host, 8700)
        assert not (await way.tailscaled()).looked
        assert not (await way.policy()).looked
    way.leads_to("100.64.0.2", 8700)
    with pytest.raises(Fault):
        await way.tailscaled()


def test_the_ranges_of_a_tailnet() -> None:
    assert in_tailnet("100.64.0.1")
    assert in_tailnet("100.127.255.255")
    assert in_tailnet("[fd7a:115c:a1e0::1]")
    for other in ("100.128.0.1", "10.0.0.1", "fd00::1", "gateway", ""):
        assert not in_tailnet(other)
