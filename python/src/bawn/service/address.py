"""Addresses that this machine may lose while it runs: those of a tailnet."""

import asyncio
import errno
import ipaddress
import socket
from typing import Final

LOST_AFTER_S: Final = 8.0
"""tailscaled, when it is restarted, takes its address away for seconds; what is bound to it then goes on."""
_INTERVAL_S: Final = 1.0


def has_address(host: str, port: int) -> bool:
    """Whether `host` is an address of this machine: something may or may not listen on `port`, and nothing will."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


async def lost(host: str, port: int, *, after_s: float = LOST_AFTER_S, interval_s: float = _INTERVAL_S) -> None:
    """Return when the address has not been this machine's for `after_s` seconds; never for loopback and names."""
    if not _may_go(host):
        await asyncio.Event().wait()
    clock = asyncio.get_running_loop().time
    seen_at = clock()
    while clock() - seen_at < after_s:
        await asyncio.sleep(interval_s)
        if has_address(host, port):
            seen_at = clock()


def _may_go(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
