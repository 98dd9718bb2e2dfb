"""tailscaled's LocalAPI on a Unix socket, for tests of what is made of its answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any


def status(state: str = "Running", **more: Any) -> dict[str, Any]:
    """A status as tailscaled 1.98 writes it, for a laptop that sees the gateway."""
    own = {
        "HostName": "laptop",
        "DNSName": "laptop.tailnet.invalid.",
        "TailscaleIPs": ["100.64.0.9"],
        "Online": True,
    }
    peer = {
        "HostName": "gateway",
        "DNSName": "gateway.tailnet.invalid.",
        "TailscaleIPs": ["100.64.0.2"],
        "Online": True,
    }
    return {
        "Version": "1.98.4",
        "BackendState": state,
        "HaveNodeKey": True,
        "AuthURL": "https://headscale.example.org/register/SECRET-url",
        "Self": {**own, "KeyExpiry": "2099-01-01T00:00:00Z"},
        "Peer": {"nodekey:aa": {**peer, "KeyExpiry": "2099-01-01T00:00:00Z"}},
        "CurrentTailnet": {
            "Name": "t",
            "MagicDNSSuffix": "tailnet.invalid",
            "MagicDNSEnabled": True,
        },
        "Health": [],
        **more,
    }


@contextlib.asynccontextmanager
async def local_api(socket: Path, answer: Any) -> AsyncIterator[list[str]]:
    """Serve `answer` as the status while the block runs; gives the paths that were asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[1].decode())
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, socket)
    async with server:
        yield asked
