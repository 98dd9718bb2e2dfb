"""A real tailscaled without an interface of its own: nodes of one tailnet on one machine, and no privilege needed.

What arrives for such a node at a port of its tailnet address goes on to that port on loopback. What it sends goes
through its HTTP proxy.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from support.ports import free_port

_JOIN_TIMEOUT_S: Final = 120
_STOP_TIMEOUT_S: Final = 30


class UserspaceNode:
    """One node with its folder: state, socket, log."""

    def __init__(self, binaries: Path, folder: Path, name: str) -> None:
        self._binaries = binaries
        self._state = folder / name
        self._log = folder / f"{name}.log"
        self.name = name
        self.socket = folder / f"{name}.sock"
        self.proxy = f"http://127.0.0.1:{free_port()}"
        self.address = ""
        """In the tailnet."""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the daemon; one that has joined before comes back into its tailnet by itself."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "tailscaled",
                    "--tun=userspace-networking",
                    "--port=0",
                    f"--socket={self.socket}",
                    f"--statedir={self._state}",
                    f"--outbound-http-proxy-listen={self.proxy.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TS_NO_LOGS_NO_SUPPORT": "true"},
            )

    def join(self, server: str, key: str) -> None:
        """Join the tailnet of the Headscale at `server`."""
        login = (f"--login-server={server}", f"--auth-key={key}", f"--hostname={self.name}")
        self._command("up", *login, "--accept-dns=false", f"--timeout={_JOIN_TIMEOUT_S}s")
        self.address = self._command("ip", "-4").strip()

    def stop(self) -> None:
        """End the daemon."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_STOP_TIMEOUT_S)
            self._process = None

    def _command(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._binaries / "tailscale", f"--socket={self.socket}", *arguments],
            capture_output=True,
            text=True,
            timeout=_JOIN_TIMEOUT_S + 30,
            check=False,
        )
        assert done.returncode == 0, f"{self.name}: {done.stderr}\n{self._log.read_text(encoding='utf-8')[-2000:]}"
        return done.stdout
