"""Whole chains of real processes on loopback, for tests that drive them with real clients."""

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from bawn.chain.layout import HOST, Layout, Ports, bawn
from bawn.chain.supervisor import Chain
from support.ports import free_port
from support.scripted_upstream import ScriptedUpstream, scripted_upstream

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Front:
    """What a client of the chain needs."""

    chain: Chain
    home: Path
    """HOME of the client: nothing of this machine's own settings is read or written."""

    @property
    def url(self) -> str:
        return self.chain.ports.bridge_url

    @property
    def token(self) -> str:
        return self.chain.layout.bridge_token.read_text(encoding="utf-8").strip()

    @property
    def environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "OPENCODE", "CONTINUE"))}
        return {
            **ours,
            "HOME": str(self.home),
            "BAWN_CONFIG": str(self.chain.layout.config),
            "BAWN_STATE": str(self.chain.layout.root / "state"),
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "CONTINUE_TELEMETRY_ENABLED": "0",
            "NO_COLOR": "1",
        }

    def run(
        self, command: list[str], timeout_s: float = 120, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a client to its end, with nothing on its standard input."""
        where = cwd or self.home
        return subprocess.run(
            command,
            env={**self.environment, "PWD": str(where)},  # OpenCode believes PWD before the working directory
            cwd=where,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def bawn(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run(bawn(*arguments), cwd=cwd)

    def log(self, service: str) -> str:
        """What one process of the chain wrote."""
        return (self.chain.layout.logs / f"{service.replace(' ', '-')}.log").read_text(encoding="utf-8")

    def written(self) -> str:
        """Everything that the processes of the chain wrote to their logs."""
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self.chain.layout.logs.iterdir()))


def _front(folder: Path, ports: Ports, model: Path) -> Front:
    home = folder / "home"
    home.mkdir()
    return Front(Chain(Layout(folder / "chain", folder / "config"), ports, model), home)


def index_repository(front: Front, repository: Path = REPOSITORY) -> None:
    """Index a repository into the chain's index."""
    at = ("--index", str(front.chain.layout.index))
    for step in (("add", str(repository), *at), ("run", *at)):
        run = front.bawn("index", *step)
        assert run.returncode == 0, run.stderr


@contextlib.asynccontextmanager
async def scripted_chain(folder: Path, *, indexed: bool = False) -> AsyncIterator[tuple[Front, ScriptedUpstream]]:
    """Bridge and gateway as processes in front of a scripted upstream."""
    async with scripted_upstream() as upstream:
        ports = Ports(model_server=upstream.port, gateway=free_port(), bridge=free_port())
        front = _front(folder, ports, model=folder / "none.gguf")
        chain = front.chain
        chain.layout.prepare(ports, chain.model)
        if indexed:
            index_repository(front)
        services = (chain.gateway, chain.bridge)
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
                for service in services:
                    service.start()
                await chain.bridge.answers(client, f"http://{HOST}:{ports.bridge}/health", 30)
                await chain.gateway.answers(client, f"http://{HOST}:{ports.gateway}/health", 30)
            yield front, upstream
        finally:
            for service in services:
                await service.stop()


@contextlib.asynccontextmanager
async def real_chain(folder: Path, model: Path, *, indexed: bool = False) -> AsyncIterator[Front]:
    """Model server, gateway and bridge as processes, with a real model."""
    front = _front(folder, Ports(free_port(), free_port(), free_port()), model)
    front.chain.layout.prepare(front.chain.ports, model)
    if indexed:
        index_repository(front)
    async with front.chain.running(lambda _: None):
        yield front
