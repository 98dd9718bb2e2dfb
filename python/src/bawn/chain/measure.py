"""What each hop of a running chain costs: time to the first byte, and memory."""

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from httpx_aiohttp import AiohttpTransport

from bawn.chain.layout import HOST
from bawn.chain.supervisor import Chain
from bawn.service.settings import read_secret


@dataclass(frozen=True)
class Hop:
    """One process of the chain, as a request of a client on it sees it."""

    name: str
    first_byte_ms: float
    """Median time from request to first byte, asked at this process."""
    added_ms: float
    """What this process adds: median of the differences to the one behind it, round by round."""
    resident_mib: float | None
    """Resident memory now; None where the system doesn't tell."""


async def measure_hops(chain: Chain, model: str, rounds: int = 15) -> list[Hop]:
    """Ask each process in turn for one token, `rounds` times after one that isn't counted."""
    layout, ports = chain.layout, chain.ports
    targets = (
        (chain.model_server, ports.model_server, layout.model_token),
        (chain.gateway, ports.gateway, layout.gateway_key),
        (chain.bridge, ports.bridge, layout.bridge_token),
    )
    request = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "stream": True}
    times: list[list[float]] = []
    async with httpx.AsyncClient(transport=AiohttpTransport(trust_env=False), timeout=60) as client:
        for _ in range(rounds + 1):
            row: list[float] = []
            for _, port, secret in targets:
                row.append(await _first_byte_s(client, f"http://{HOST}:{port}", read_secret(secret), request))
            times.append(row)
    counted = times[1:]
    hops: list[Hop] = []
    for n, (service, _, _) in enumerate(targets):
        median = statistics.median(row[n] for row in counted)
        added = statistics.median(row[n] - row[n - 1] for row in counted) if n else median
        hops.append(Hop(service.name, median * 1e3, added * 1e3, resident_mib(service.pid)))
    return hops


async def _first_byte_s(client: httpx.AsyncClient, url: str, token: str, request: dict[str, Any]) -> float:
    began = time.perf_counter()
    headers = {"authorization": f"Bearer {token}"}
    async with client.stream("POST", f"{url}/v1/chat/completions", json=request, headers=headers) as response:
        response.raise_for_status()
        first = None
        async for _ in response.aiter_raw():
            first = first or time.perf_counter() - began
    return first or float("nan")


def resident_mib(pid: int | None) -> float | None:
    """Resident memory of a process in MiB, from /proc."""
    if pid is None or sys.platform != "linux":
        return None
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return None
