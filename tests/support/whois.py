"""A tailscaled that knows the nodes it is told of, on a Unix socket, in the form in which tailscaled 1.98 answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


def node(name: str, login: str, *, tags: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """What `whois` tells of a node: some of it is read, the rest is there as in a real answer."""
    return {
        "Node": {
            "ID": 4,
            "StableID": "4",
            "Name": f"{name}.tailnet.invalid.",
            "User": 1,
            "Key": "nodekey:aa",
            "KeyExpiry": "2099-01-01T00:00:00Z",
            "Addresses": ["100.64.0.9/32", "fd7a:115c:a1e0::9/128"],
            "Hostinfo": {"OS": "linux", "Hostname": name},
            "Online": True,
            "ComputedName": name,
            "ComputedNameWithHost": name,
            **({"Tags": tags} if tags else {}),
            **more,
        },
        "UserProfile": {
            "ID": 1,
            "LoginName": "tagged-devices" if tags else login,
            "DisplayName": login,
            "ProfilePicURL": "",
        },
        "CapMap": {},
    }


class Tailscaled:
    """The daemon; tests change what it knows and how it behaves while it runs."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        """By address, or by `address:port`."""
        self.state = "Running"
        self.answer: tuple[int, bytes] | None = None
        """Instead of a true one."""
        self.silent = False
        """Take questions and never answer."""
        self.may_answer = asyncio.Event()
        """Cleared: answers wait."""
        self.may_answer.set()
        self.asked: list[str] = []
        """What `whois` was asked for."""
        self.hosts: set[str] = set()
        """`Host` headers that came."""
        self._clients: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def running(self, socket: Path) -> AsyncIterator[None]:
        """Serve while the block runs; then the socket is gone, as with the real one's runtime directory."""
        try:
            async with await asyncio.start_unix_server(self._serve, socket):
                yield
        finally:
            for writer in self._clients:
                writer.close()
            socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        url = urlsplit(head.split(" ")[1])
        self.hosts |= {
            line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("host:")
        }
        if url.path == "/localapi/v0/whois":
            self.asked.append(parse_qs(url.query)["addr"][0])
        await self.may_answer.wait()
        if self.silent:
            await reader.read()
        else:
            status, body = self._answer(url.path)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        writer.close()

    def _answer(self, path: str) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer
        if path == "/localapi/v0/status":
            return 200, json.dumps({"Version": "1.98.4", "BackendState": self.state, "Peer": None}).encode()
        asked = self.asked[-1]
        address = asked.rpartition(":")[0].strip("[]")
        known = self.nodes.get(asked, self.nodes.get(address))
        return (404, b"no match for IP:port\n") if known is None else (200, json.dumps(known, indent="\t").encode())
