"""Starting the chain in order, keeping it up, and ending all of it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Final

import httpx

from bawn.chain.layout import HOST, Layout, Ports, bawn
from bawn.chain.process import Service
from bawn.service.serving import check_port

Say = Callable[[str], None]

MODEL_LOAD_S: Final = 600.0
"""A large file on a slow disk takes minutes to load."""
_START_S: Final = 30.0
_POLL_S: Final = 0.2
_MAX_BACKOFF_S: Final = 10.0


class Chain:
    """Model server, gateway and bridge on loopback."""

    def __init__(self, layout: Layout, ports: Ports, model: Path) -> None:
        """Nothing is started yet; `model` is a GGUF file."""
        self.layout = layout
        self.model = model
        self.ports = ports
        env = layout.environment()

        def service(name: str, port: int, command: str, settings: Path) -> Service:
            log = layout.logs / f"{name.replace(' ', '-')}.log"
            ready_url = f"http://{HOST}:{port}/ready"
            return Service(name, bawn(command, "--settings", str(settings)), ready_url=ready_url, log=log, env=env)

        self.model_server = service("model server", ports.model_server, "model-server", layout.model_settings)
        self.gateway = service("gateway", ports.gateway, "gateway", layout.gateway_settings)
        self.bridge = service("bridge", ports.bridge, "bridge", layout.bridge_settings)

    @property
    def services(self) -> Sequence[Service]:
        """In the order in which they start."""
        return (self.model_server, self.gateway, self.bridge)

    def check(self) -> None:
        """Refuse what can't work before anything is started.

        Raises:
            SettingsError: a port is in use.
        """
        for port in (self.ports.model_server, self.ports.gateway, self.ports.bridge):
            check_port(HOST, port, option="--ports")

    @contextlib.asynccontextmanager
    async def running(self, say: Say) -> AsyncGenerator[None]:
        """Start everything, and end everything when the block is left, in whatever way.

        Raises:
            SettingsError: a port is in use, or the folder can't be written.
            ServiceFailed: a service did not start.
        """
        self.check()
        self.layout.prepare(self.ports, self.model)
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
                for service in self.services:
                    service.start()
                for service in self.services:
                    say(f"starting the {service.name} …")
                    await service.ready(client, MODEL_LOAD_S if service is self.model_server else _START_S)
            yield
        finally:
            # Those in front first, so that nobody is served an error by a chain that is half gone.
            for service in reversed(self.services):
                await asyncio.shield(service.stop())

    async def keep_up(self, say: Say) -> None:
        """Start again what ends by itself; runs until cancelled."""
        backoff = dict.fromkeys(self.services, 0.0)
        while True:
            for service in self.services:
                status = service.exit_status
                if status is None:
                    continue
                wait = backoff[service]
                backoff[service] = min(_MAX_BACKOFF_S, max(0.5, wait * 2))
                say(f"The {service.name} ended with status {status}; starting it again in {wait:g} s ({service.log}).")
                await asyncio.sleep(wait)
                service.start()
            await asyncio.sleep(_POLL_S)
