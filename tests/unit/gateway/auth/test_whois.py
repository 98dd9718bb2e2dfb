"""What is remembered of whom, and for how long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bawn.contracts.errors import IdentityUnknown
from bawn.gateway.auth.local_api import LocalApi, Peer
from bawn.gateway.auth.whois import FRESH_S, Whois
from support.gateway import captured_logs
from support.until import until, until_async
from support.whois import Tailscaled, node

ADA, LAPTOP = "100.64.0.9", Peer("ada-laptop", "ada@example.org")


@pytest.fixture
async def tailscaled(tmp_path: Path) -> AsyncIterator[Tailscaled]:
    daemon = Tailscaled()
    daemon.nodes = {ADA: node("ada-laptop", "ada@example.org")}
    async with daemon.running(tmp_path / "t.sock"):
        yield daemon


@contextlib.asynccontextmanager
async def asking(tmp_path: Path, *, fresh_s: float = 60, most: int = 100) -> AsyncIterator[Whois]:
    whois = Whois(LocalApi(tmp_path / "t.sock"), fresh_s=fresh_s, most=most)
    yield whois
    await whois.aclose()


def test_what_is_remembered_is_less_than_a_second_old():
    assert 0 < FRESH_S < 1


async def test_requests_at_the_same_time_share_one_question(tailscaled: Tailscaled, tmp_path: Path):
    async with asking(tmp_path) as whois:
        tailscaled.may_answer.clear()
        waiting = [asyncio.create_task(whois.peer(ADA, 40000 + n)) for n in range(50)]
        await until(lambda: tailscaled.asked)
        tailscaled.may_answer.set()
        assert await asyncio.gather(*waiting) == [LAPTOP] * 50
        assert await whois.peer(ADA, 1) == LAPTOP
    assert len(tailscaled.asked) == 1


async def test_an_answer_that_is_no_longer_fresh_is_asked_for_again(tailscaled: Tailscaled, tmp_path: Path):
    async with asking(tmp_path, fresh_s=0.05) as whois:
        assert await whois.peer(ADA, 1) == LAPTOP
        tailscaled.nodes[ADA] = node("ada-laptop", "bob@example.org")

        async def is_bobs() -> bool:
            return await whois.peer(ADA, 1) == Peer("ada-laptop", "bob@example.org")

        await until_async(is_bobs)


async def test_a_node_that_leaves_the_tailnet_is_nobody_within_a_second(tailscaled: Tailscaled, tmp_path: Path):
    loop = asyncio.get_running_loop()
    async with asking(tmp_path, fresh_s=FRESH_S) as whois:
        assert await whois.peer(ADA, 1) == LAPTOP
        tailscaled.nodes.clear()
        left = loop.time()

        async def is_nobody() -> bool:
            return await whois.peer(ADA, 1) is None

        await until_async(is_nobody)
        assert loop.time() - left < 1


async def test_an_answer_on_its_way_for_too_long_is_not_shared(tailscaled: Tailscaled, tmp_path: Path):
    async with asking(tmp_path, fresh_s=0) as whois:
        tailscaled.may_answer.clear()
        waiting = [asyncio.create_task(whois.peer(ADA, 1)) for _ in range(2)]
        await until(lambda: len(tailscaled.asked) == 2)
        tailscaled.may_answer.set()
        assert await asyncio.gather(*waiting) == [LAPTOP] * 2


async def test_refusals_and_failures_are_not_remembered(tailscaled: Tailscaled, tmp_path: Path):
    tailscaled.nodes, known = {}, tailscaled.nodes
    async with asking(tmp_path) as whois:
        assert await whois.peer(ADA, 1) is None
        tailscaled.answer = (500, b"")
        with pytest.raises(IdentityUnknown):
            await whois.peer(ADA, 1)
        tailscaled.nodes, tailscaled.answer = known, None
        assert await whois.peer(ADA, 1) == LAPTOP


async def test_a_client_that_leaves_takes_the_answer_from_nobody(tailscaled: Tailscaled, tmp_path: Path):
    async with asking(tmp_path) as whois:
        tailscaled.may_answer.clear()
        first, second = (asyncio.create_task(whois.peer(ADA, 1)) for _ in range(2))
        await until(lambda: tailscaled.asked)
        first.cancel()
        tailscaled.may_answer.set()
        assert await second == LAPTOP
        assert first.cancelled()
    assert len(tailscaled.asked) == 1


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(tailscaled: Tailscaled, tmp_path: Path):
    tailscaled.nodes = {f"100.64.1.{n}": node(f"n{n}", "ada@example.org") for n in range(5)}
    async with asking(tmp_path, most=3) as whois:
        for n in (0, 1, 2, 3, 3, 2, 1):
            assert await whois.peer(f"100.64.1.{n}", 1) == Peer(f"n{n}", "ada@example.org")
        assert len(tailscaled.asked) == 4
        await whois.peer("100.64.1.0", 1)
    assert len(tailscaled.asked) == 5


async def test_connections_from_loopback_are_told_apart_by_their_ports(tailscaled: Tailscaled, tmp_path: Path):
    tailscaled.nodes = {"127.0.0.1:1": node("a", "ada@example.org"), "127.0.0.1:2": node("b", "bob@example.org")}
    async with asking(tmp_path) as whois:
        assert await whois.peer("127.0.0.1", 1) == Peer("a", "ada@example.org")
        assert await whois.peer("127.0.0.1", 2) == Peer("b", "bob@example.org")
        assert await whois.peer("127.0.0.1", 3) is None


async def test_an_ipv4_address_in_an_ipv6_sockets_clothes_is_itself(tailscaled: Tailscaled, tmp_path: Path):
    async with asking(tmp_path) as whois:
        assert await whois.peer(f"::ffff:{ADA}", 7) == LAPTOP
        assert await whois.peer(ADA, 8) == LAPTOP
    assert tailscaled.asked == [f"{ADA}:7"]


async def test_the_log_tells_once_that_tailscaled_fails_and_once_that_it_answers(
    tailscaled: Tailscaled, tmp_path: Path
):
    async with asking(tmp_path) as whois:
        with captured_logs() as logs:
            tailscaled.answer = (500, b"")
            for _ in range(3):
                with pytest.raises(IdentityUnknown):
                    await whois.peer(ADA, 1)
            tailscaled.answer = None
            await whois.peer(ADA, 1)
    assert logs.getvalue().count("tailscaled_unusable") == 1
    assert logs.getvalue().count("tailscaled_answers") == 1
    assert ADA not in logs.getvalue()


async def test_what_is_under_way_at_the_end_ends(tailscaled: Tailscaled, tmp_path: Path):
    tailscaled.may_answer.clear()
    async with asking(tmp_path) as whois:
        waiting = asyncio.create_task(whois.peer(ADA, 1))
        await until(lambda: tailscaled.asked)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    tailscaled.may_answer.set()
