"""A real Meilisearch on loopback, with a master key."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.golden import golden_files
from support.ports import free_port

MASTER_KEY = "a-master-key-of-the-tests"
ABSENT = "no Meilisearch: MEILISEARCH_BIN names no binary, and none is on PATH"
_START_TIMEOUT_S = 30
_OF_INDEXING = ("max_indexing_memory", "max_indexing_threads", "http_payload_size_limit")
_SWITCHES = ("experimental_reduce_indexing_memory_usage",)


def binary() -> Path | None:
    """The binary that `MEILISEARCH_BIN` names, or `meilisearch` on PATH."""
    named = os.environ.get("MEILISEARCH_BIN") or shutil.which("meilisearch")
    return Path(named).resolve() if named else None


def as_packaged() -> list[str]:
    """Options by which Meilisearch indexes as it does on the appliance: nixos-modules/search.nix."""
    settings = json.loads(golden_files()["gateway-with-meilisearch/settings/meilisearch.json"])["settings"]
    options = [f"--{name.replace('_', '-')}={settings[name]}" for name in _OF_INDEXING]
    return [*options, *(f"--{name.replace('_', '-')}" for name in _SWITCHES if settings[name])]


class Meilisearch:
    """A server with its folder; it can be killed and started again."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._log = folder / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.master_key_file = folder / "master-key"
        self.master_key_file.write_text(MASTER_KEY + "\n", encoding="utf-8")

    def start(self) -> None:
        """Serve; returns when requests are answered."""
        options = {
            "db-path": self._folder / "data",
            "dump-dir": self._folder / "dumps",
            "snapshot-dir": self._folder / "snapshots",
            "http-addr": f"127.0.0.1:{self.port}",
            "env": "production",
            "log-level": "WARN",
        }
        own = [f"--{name}={value}" for name, value in options.items()]
        command = [str(self._program), "--no-analytics", *own, *as_packaged()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, "MEILI_MASTER_KEY": MASTER_KEY},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            text = self._log.read_text(encoding="utf-8", errors="replace")
            assert self._process.poll() is None, text
            assert time.monotonic() < deadline, text

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=1, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL in the middle of whatever it does."""
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(timeout=_START_TIMEOUT_S)
            self._process = None

    def ask(self, method: str, path: str, key: str = MASTER_KEY, body: object = None) -> httpx.Response:
        """One call of its HTTP API."""
        headers = {"authorization": f"Bearer {key}"}
        return httpx.request(method, f"{self.url}{path}", headers=headers, json=body, timeout=30, trust_env=False)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Meilisearch]:
    """A server with its data in `folder`; skips the test where this machine has no Meilisearch."""
    program = binary()
    if program is None:
        pytest.skip(ABSENT)
    server = Meilisearch(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
