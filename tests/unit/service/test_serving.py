"""Serving: taken ports, systemd readiness and watchdog, and a clean stop, in a real process."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from bawn.contracts.errors import SettingsError
from bawn.service.serving import check_port
from support.ports import free_port

SERVICE = """
import asyncio, sys
from litestar import get
from litestar.response import Stream
from bawn.service.http import make_app
from bawn.service.serving import leave, serve

async def pieces():
    for n in range(20):
        yield f"{n}\\n"
        await asyncio.sleep(0.05)

@get("/stream")
async def stream() -> Stream:
    return Stream(pieces())

alive = [True]

@get("/freeze")
async def freeze() -> None:
    alive[0] = False

app = make_app([stream, freeze], max_body_bytes=10)
asyncio.run(serve(app, "127.0.0.1", int(sys.argv[1]), name="test", alive=lambda: alive[0]))
leave()
"""


def test_a_taken_port_is_one_sentence_with_the_mend() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} on 127.0.0.1 is in use: .* --port"):
            check_port("127.0.0.1", port)


def test_a_foreign_address_is_named() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1:80"):
        check_port("192.0.2.1", 80)


def messages(notify: socket.socket, wanted: str, count: int = 1) -> list[str]:
    """Read what the service tells systemd until `wanted` has come `count` times."""
    got: list[str] = []
    while got.count(wanted) < count:
        got.append(notify.recv(1000).decode())
    return got


def listen(notify: socket.socket, seconds: float) -> None:
    """Read messages until the socket's timeout, and for at most `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        notify.recv(1000)


def test_readiness_watchdog_and_a_stop_that_lets_answers_end(tmp_path: Path) -> None:
    port = free_port()
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(20)
        env = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}
        with subprocess.Popen([sys.executable, "-c", SERVICE, str(port)], env=env, stderr=subprocess.PIPE) as service:
            try:
                messages(notify, "READY=1")
                messages(notify, "WATCHDOG=1", 3)
                with httpx.stream("GET", f"http://127.0.0.1:{port}/stream", trust_env=False) as response:
                    lines = response.iter_lines()
                    assert next(lines) == "0"
                    service.send_signal(signal.SIGTERM)
                    assert list(lines)[-1] == "19"
                messages(notify, "STOPPING=1")
                assert service.wait(20) == 0
            finally:
                service.kill()


def test_a_service_that_is_not_alive_stops_telling_the_watchdog(tmp_path: Path) -> None:
    port = free_port()
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(20)
        env = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
        with subprocess.Popen([sys.executable, "-c", SERVICE, str(port)], env=env, stderr=subprocess.PIPE) as service:
            try:
                messages(notify, "WATCHDOG=1")
                httpx.get(f"http://127.0.0.1:{port}/freeze", trust_env=False)
                notify.settimeout(1)  # ten periods
                with pytest.raises(TimeoutError):
                    listen(notify, 10)
            finally:
                service.kill()
