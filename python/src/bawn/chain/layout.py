"""Where a chain on one machine keeps its settings, secrets, index and logs."""

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bawn.contracts.errors import SettingsError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the three services."""

    model_server: int = 8000
    gateway: int = 8700
    bridge: int = 8080

    @property
    def bridge_url(self) -> str:
        """What clients are pointed at."""
        return f"http://{HOST}:{self.bridge}"


@dataclass(frozen=True)
class Layout:
    """A folder with everything that a chain keeps."""

    root: Path
    config: Path
    """`BAWN_CONFIG` of the bridge, where the token of this install is kept."""

    @property
    def index(self) -> Path:
        """The embedded search index."""
        return self.root / "index"

    @property
    def logs(self) -> Path:
        """One log a service."""
        return self.root / "logs"

    @property
    def bridge_settings(self) -> Path:
        """The bridge's settings file."""
        return self.root / "bridge.json"

    @property
    def bridge_token(self) -> Path:
        """What the bridge wants of its clients."""
        return self.config / "bridge.token"

    @property
    def gateway_settings(self) -> Path:
        """The gateway's settings file."""
        return self.root / "gateway.json"

    @property
    def model_settings(self) -> Path:
        """The model server's settings file."""
        return self.root / "model-server.json"

    @property
    def keys(self) -> Path:
        """The gateway's store of key hashes."""
        return self.root / "keys.json"

    @property
    def model_token(self) -> Path:
        """The bearer token between gateway and model server."""
        return self.root / "model-server.token"

    @property
    def gateway_key(self) -> Path:
        """The bridge's API key of the gateway."""
        return self.root / "gateway.key"

    def environment(self) -> dict[str, str]:
        """The environment that every process of the chain gets."""
        return {**os.environ, "BAWN_CONFIG": str(self.config), "BAWN_STATE": str(self.root / "state")}

    def prepare(self, ports: Ports, model: Path) -> None:
        """Write the settings for serving `model`, and make the secrets that are not there yet.

        Raises:
            SettingsError: the folder can't be written.
        """
        try:
            for folder in (self.root, self.logs, self.config, self.index):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SettingsError(
                f"{self.root} can't be written ({error.strerror}): choose another with --dir."
            ) from error
        if not self.model_token.exists():
            _write_secret(self.model_token, secrets.token_urlsafe(32))
        if not (self.gateway_key.exists() and self.keys.exists()):
            self.keys.unlink(missing_ok=True)
            _write_secret(self.gateway_key, self._new_key())
        served = {"model": str(model), "host": HOST, "port": ports.model_server, "token_file": str(self.model_token)}
        _write(self.model_settings, served)
        upstream = {
            "name": "model-server",
            "url": f"http://{HOST}:{ports.model_server}",
            "token_file": str(self.model_token),
        }
        gateway: dict[str, Any] = {
            "host": HOST,
            "port": ports.gateway,
            "upstreams": [upstream],
            "keys_file": str(self.keys),
            "index_dir": str(self.index),
            "health_interval_s": 2.0,
        }
        _write(self.gateway_settings, gateway)
        bridge = {
            "gateway_url": f"http://{HOST}:{ports.gateway}",
            "key_file": str(self.gateway_key),
            "port": ports.bridge,
        }
        _write(self.bridge_settings, bridge)

    def _new_key(self) -> str:
        command = bawn("keys", "add", "this-machine", "--keys", str(self.keys))
        run = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        key = next((word for word in run.stdout.split() if word.startswith("bawn_")), None)
        if run.returncode != 0 or key is None:
            raise SettingsError(f"`bawn keys add` failed: {run.stderr.strip()}")
        return key


def bawn(*arguments: str) -> list[str]:
    """The command line of a `bawn` of this very installation."""
    return [sys.executable, "-m", "bawn.cli", *arguments]


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(secret + "\n")
