"""A service as a child process that ends with us, however we end."""

import asyncio
import ctypes
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx

from bawn.contracts.errors import BawnError

_PR_SET_PDEATHSIG: Final = 1
"""linux/prctl.h: the signal that a child gets when its parent ends."""

_POLL_S: Final = 0.05


class ServiceFailed(BawnError):
    """A service ended, or did not become ready in time; names its log."""


def _dies_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork, where little may be done
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Service:
    """One `bawn` service: started, watched, stopped."""

    def __init__(self, name: str, command: list[str], *, ready_url: str, log: Path, env: Mapping[str, str]) -> None:
        """`ready_url` answers 200 once the service can do its work."""
        self.name = name
        self.log = log
        self._command = command
        self._ready_url = ready_url
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_status(self) -> int | None:
        """How it ended; negative for a signal, None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches it through us alone."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_dies_with_parent(),
            )

    async def ready(self, client: httpx.AsyncClient, timeout_s: float) -> None:
        """Wait until the service says that it can do its work; raises as `answers` does."""
        await self.answers(client, self._ready_url, timeout_s)

    async def answers(self, client: httpx.AsyncClient, url: str, timeout_s: float) -> None:
        """Wait until `url` answers 200.

        Raises:
            ServiceFailed: it ended, or the time is over.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if self.exit_status is not None:
                raise ServiceFailed(f"The {self.name} ended with status {self.exit_status}: {self._last_words()}")
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_S)
        raise ServiceFailed(f"The {self.name} was not ready after {timeout_s:g} s: see {self.log}.")

    async def stop(self, timeout_s: float = 15.0) -> None:
        """Ask it to end, and make it end when it has not after `timeout_s`."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        deadline = asyncio.get_running_loop().time() + timeout_s
        while process.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                process.kill()
                process.wait()
                return
            await asyncio.sleep(_POLL_S)

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f"{lines[-1]} ({self.log})" if lines else f"it wrote nothing to {self.log}."
