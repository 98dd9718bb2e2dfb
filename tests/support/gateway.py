"""A running gateway with a key, for tests of whatever talks to one."""

import contextlib
import io
import logging
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bawn.gateway.app import gateway_app
from bawn.gateway.auth.store import KeyStore
from bawn.gateway.settings import GatewaySettings
from bawn.service.logs import JsonFormatter
from bawn.service.serving import running
from bawn.service.settings import to_settings
from support.ports import free_port
from support.until import until_async


@dataclass
class RunningGateway:
    url: str
    key: str
    key_id: str
    keys: KeyStore
    client: httpx.AsyncClient
    """Sends the key."""

    async def until_ready(self) -> None:
        async def ready() -> bool:
            return (await self.client.get("/ready")).status_code == 200

        await until_async(ready)


@contextlib.asynccontextmanager
async def running_gateway(*upstreams: str, **settings: Any) -> AsyncGenerator[RunningGateway]:
    """A gateway in front of the servers at these URLs, named `u0`, `u1`…; `settings` are those of its file."""
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyStore(Path(folder, "keys.json"))
        key = keys.add("test")
        port = free_port()
        settings.setdefault("upstreams", [{"name": f"u{n}", "url": url} for n, url in enumerate(upstreams)])
        data = {
            "port": port,
            "keys_file": str(keys.path),
            "health_interval_s": 0.05,
            "drain_s": 5.0,
            "upstream_wait_s": 0.01,
            **settings,
        }
        app = gateway_app(to_settings(data, GatewaySettings, origin="test"))
        url = f"http://127.0.0.1:{port}"
        async with running(app, "127.0.0.1", port, drain_s=5):
            headers = {"authorization": f"Bearer {key.text}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
                yield RunningGateway(url, key.text, key.stored.id, keys, client)


@contextlib.contextmanager
def captured_logs():
    """Everything that this process would log, in the form in which it would: `str(…)` is the text so far."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter())
    root, ours = logging.getLogger(), logging.getLogger("bawn")
    before = (root.level, ours.level)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.INFO)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])
