"""READY and WATCHDOG mean something: what hangs is restarted, and what isn't ready isn't called so."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bawn.model_server.engine.engine import THREAD
from support.hosts import golden_host
from support.hosts.machine import Machine
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

WATCHDOG_S = 10
"""In the place of half a minute or a minute, so that the tests need not wait so long."""


@contextmanager
def shorter_watchdog(machine: Machine, unit: str) -> Iterator[None]:
    golden_host.override(machine, unit, f"[Service]\nWatchdogSec={WATCHDOG_S}s\nRestartSec=100ms\n")
    machine.succeed(f"systemctl daemon-reload; systemctl restart {unit}")
    yield
    machine.succeed(f"rm /etc/systemd/system/{unit}.d/test.conf; systemctl daemon-reload")


@contextmanager
def frozen(thread: int) -> Iterator[None]:
    """One thread does not run any more until its process ends."""
    with subprocess.Popen(
        [sys.executable, str(golden_host.HERE / "freeze.py"), str(thread)], stdout=subprocess.PIPE, text=True
    ) as freezer:
        assert freezer.stdout is not None
        assert freezer.stdout.readline() == "stopped\n"
        try:
            yield
        finally:
            freezer.kill()


def restarted_by_its_watchdog(machine: Machine, unit: str, before: int) -> None:
    machine.wait_until_succeeds(f"test $(systemctl show --property=NRestarts --value {unit}) -gt {before}", 60)
    machine.wait_until_succeeds(f"systemctl is-active {unit}", timeout=60)
    assert re.search(r"Watchdog timeout \(limit \d+s\)", machine.journal(unit))


def test_a_started_service_answers_at_once(hosts: WiredHosts) -> None:
    for machine, unit, address in (
        (hosts.gpu, "bawn-model-server.service", f"{hosts.address('gpu')}:8000"),
        (hosts.gateway, "bawn-gateway.service", f"{hosts.address('gateway')}:8700"),
    ):
        machine.succeed(f"systemctl restart {unit} && curl --fail --silent http://{address}/health")


def test_a_model_that_can_not_be_loaded_is_no_ready_service(hosts: WiredHosts) -> None:
    unit = "bawn-model-server.service"
    hosts.gpu.write("/opt/test/broken.gguf", b"GGUF" + b"\xff" * 4096)
    settings = f"{golden_host.STORE}/bawn-model-server.json"
    change = f"jq '.model = \"/opt/test/broken.gguf\"' {settings} > /run/bawn-model-server/model-server.json"
    hosts.gpu.write("/opt/test/break", f"#!/bin/sh\n{change}\n", mode=0o755)
    broken = "[Service]\nRestart=no\nExecStartPre=\nExecStartPre=/opt/test/break\n"
    golden_host.override(hosts.gpu, unit, broken)
    hosts.gpu.fail(f"systemctl daemon-reload; systemctl restart {unit}")
    assert hosts.gpu.property_of(unit, "Result") == "exit-code"
    assert "broken.gguf" in hosts.gpu.journal(unit)
    hosts.gpu.succeed(f"rm /etc/systemd/system/{unit}.d/test.conf; systemctl daemon-reload; systemctl restart {unit}")


def test_a_gateway_whose_event_loop_hangs_is_restarted(hosts: WiredHosts) -> None:
    machine, unit = hosts.gateway, "bawn-gateway.service"
    with shorter_watchdog(machine, unit):
        before = int(machine.property_of(unit, "NRestarts"))
        # The event loop runs in the main thread, whose number is that of the process.
        with frozen(machine.outer_pid(unit)):
            restarted_by_its_watchdog(machine, unit, before)
    assert hosts.chat()["lost"] == []


def test_a_model_server_whose_decode_loop_hangs_is_restarted(hosts: WiredHosts) -> None:
    machine, unit = hosts.gpu, "bawn-model-server.service"
    # How long the loop may stand still is a setting; here it is shorter.
    machine.succeed(
        f"cd {golden_host.STORE} && jq '.stall_s = 5' bawn-model-server.json > new && mv new bawn-model-server.json"
    )
    with shorter_watchdog(machine, unit):
        before = int(machine.property_of(unit, "NRestarts"))
        process = machine.outer_pid(unit)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(hosts.chat, streams=1, tokens=200)
            with frozen(decoding_thread(process)):
                restarted_by_its_watchdog(machine, unit, before)
            asking.result(timeout=120)
    assert hosts.chat()["lost"] == []


def decoding_thread(process: int) -> int:
    """The model server's thread that decodes, by its number outside of the host."""
    named = [
        int(folder.name)
        for folder in Path(f"/proc/{process}/task").iterdir()
        if (folder / "comm").read_text(encoding="utf-8").strip() == THREAD
    ]
    return min(named)  # llama.cpp's own threads, which it starts, inherit the name
