"""A running bridge, with the records of its requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from bawn.bridge.app import make_bridge
from bawn.bridge.settings import BridgeSettings
from bawn.contracts.record import RequestRecord
from bawn.service.serving import running
from support.ports import free_port

TOKEN = "bawn_local_test"
KEY = "bawn_test_key"
CHAT = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Bridge:
    url: str
    client: httpx.AsyncClient
    """Carries the token."""
    records: list[RequestRecord] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def bridge_to(gateway_url: str, *, key: str = KEY, **settings: Any) -> AsyncIterator[Bridge]:
    """A bridge on a free port; with `gateway_wait_s` short unless it is given."""
    port = free_port()
    given = {"gateway_wait_s": 0.5, "keepalive_s": 0.2, "key_file": "gateway.key", **settings}
    bridge = BridgeSettings(gateway_url=gateway_url, port=port, **given)
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=30, trust_env=False
    ) as client:
        served = Bridge(url, client)
        app = make_bridge(bridge, key=key, token=TOKEN, note=served.records.append, stopping=served.stopping)
        async with running(app, "127.0.0.1", port, drain_s=2):
            yield served
