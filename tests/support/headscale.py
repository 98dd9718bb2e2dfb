"""A real Headscale on loopback, with nodes that are registered but have no machine behind them: enough for policies."""

import contextlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.ports import free_port

_COMMAND_TIMEOUT_S = 60
_START_TIMEOUT_S = 30


class Headscale:
    """One server with its folder: configuration, database, socket, and the policy in `policy.json`."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.program = binaries / "headscale"
        self.folder = folder
        self.config = folder / "config.json"
        self.policy = folder / "policy.json"
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        port = free_port()
        settings = {
            "server_url": f"http://127.0.0.1:{port}",
            "listen_addr": f"127.0.0.1:{port}",
            "metrics_listen_addr": "",
            "grpc_listen_addr": "127.0.0.1:0",
            "unix_socket": str(folder / "headscale.sock"),
            "noise": {"private_key_path": str(folder / "noise.key")},
            "prefixes": {"v4": "100.64.0.0/10", "v6": "fd7a:115c:a1e0::/48"},
            "database": {"type": "sqlite", "sqlite": {"path": str(folder / "db.sqlite")}},
            "derp": {
                "server": {
                    "enabled": True,
                    "region_id": 999,
                    "stun_listen_addr": "127.0.0.1:0",
                    "private_key_path": str(folder / "derp.key"),
                },
                "urls": [],
                "auto_update_enabled": False,
            },
            "dns": {"magic_dns": True, "base_domain": "tailnet.example", "override_local_dns": False},
            "policy": {"mode": "file", "path": str(self.policy)},
            "disable_check_updates": True,
            "cli": {"timeout": f"{_COMMAND_TIMEOUT_S}s"},
            "logtail": {"enabled": False},
        }
        self.config.write_text(json.dumps(settings), encoding="utf-8")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--config", self.config, "serve"], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            while self.command("users", "list").returncode != 0:
                text = self.log.read_text(encoding="utf-8")
                assert self.process.poll() is None, text
                assert time.monotonic() < deadline, text
            yield
        finally:
            self.process.terminate()
            self.process.wait(timeout=_START_TIMEOUT_S)
            self.process = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `headscale` beside the server."""
        return subprocess.run(
            [self.program, "--config", self.config, *arguments],
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )

    def ask(self, *arguments: str) -> Any:
        """What a command that must succeed answers, from its JSON."""
        done = self.command(*arguments, "--output", "json")
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return json.loads(done.stdout)

    def add_user(self, name: str, email: str | None = None) -> None:
        """Create a user; without e-mail a policy calls him `name@`."""
        self.ask("users", "create", name, *(["--email", email] if email else []))

    def add_node(self, name: str, user: str, tag: str | None = None) -> int:
        """Register a node; with a tag, which the policy in force must own, it is the user's no more. Returns its id."""
        key = f"hskey-authreq-{secrets.token_hex(12)}"
        self.ask("debug", "create-node", "--name", name, "--user", user, "--key", key)
        node = int(self.ask("auth", "register", "--auth-id", key, "--user", user)["id"])
        if tag is not None:
            self.ask("nodes", "tag", "--identifier", str(node), "--tags", tag)
        return node

    def refusal(self, policy: Path) -> str:
        """What `policy check` says against a policy; empty when it is good."""
        done = self.command("policy", "check", "--file", str(policy))
        return "" if done.returncode == 0 else done.stderr
