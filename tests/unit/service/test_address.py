"""Addresses that come and go."""

import asyncio
import socket

import pytest

from bawn.service.address import has_address, lost
from support.ports import free_port

ELSEWHERE = "192.0.2.1"  # of nobody: RFC 5737


def test_an_address_of_this_machine_is_known_whether_or_not_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert has_address("127.0.0.1", server.getsockname()[1])
    assert has_address("127.0.0.1", free_port())
    assert not has_address(ELSEWHERE, free_port())
    assert not has_address("2001:db8::1", free_port())


async def test_an_address_that_has_gone_is_told_after_the_time_that_a_restart_takes() -> None:
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(lost(ELSEWHERE, free_port(), after_s=0.2, interval_s=0.02), timeout=5)
    assert asyncio.get_running_loop().time() - began >= 0.2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0"])
async def test_loopback_and_names_are_never_lost(host: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lost(host, free_port(), after_s=0.01, interval_s=0.01), timeout=0.2)
