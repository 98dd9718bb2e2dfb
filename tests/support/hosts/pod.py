"""A rented pod beside the team's hosts: its first process as nobody, without a TUN device, on a provider's network."""

import json
from pathlib import Path
from typing import Final

from bawn.model_server.settings import default_model_path
from support.hosts import golden_host, tree
from support.hosts.machine import Machine
from support.hosts.tailnet import SERVER, TailnetHosts
from support.nix import ROOT
from support.tailnet_binaries import tailnet_binaries

NODE: Final = "pod"
_SOCKET: Final = "/run/bawn/tailscaled.sock"
_BINARIES: Final = "/opt/tailnet/bin"
_NOBODY: Final = 65532
"""The image's user."""
_UNIT: Final = "pod.service"
_CONTAINER: Final = {
    "User": _NOBODY,
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "RuntimeDirectory": "bawn",
    "KillMode": "mixed",
}
"""What the container runtime gives the image's first process, as properties of a unit."""


class Pod:
    """A machine in which `nixos-modules/pod/entrypoint.sh` runs as the image runs it."""

    def __init__(self, hosts: TailnetHosts, folder: Path) -> None:
        """Lay the machine out; `start` boots it."""
        model, fleet = (
            default_model_path(),
            json.loads(hosts.fleet.read_text(encoding="utf-8")),
        )
        assert model is not None
        self.machine = Machine(
            NODE,
            folder / NODE,
            tree.debian(),
            namespace=hosts.networks.join(NODE),
            binds=[
                *golden_host.binds(),
                (model, f"/weights/{fleet['models']['coder']['file']}"),
                (tailnet_binaries(), _BINARIES),
                (
                    ROOT / "nixos-modules" / "pod" / "entrypoint.sh",
                    "/opt/pod/entrypoint.sh",
                ),
            ],
        )
        golden_host.environment(self.machine)
        self.machine.write(
            "/etc/hosts",
            f"127.0.0.1 localhost\n{hosts.underlay('headscale')} {SERVER}\n",
        )
        known = "/etc/ssl/certs/ca-certificates.crt"
        self.machine.write(known, (hosts.headscale.root / known.lstrip("/")).read_bytes())

    def start(self, settings: str, key: str, token: str) -> None:
        """Boot, start the first process, and wait until it has joined the tailnet.

        Args:
            settings: what `bawn fleet render` wrote for the node.
            key: pre-authentication key.
            token: what the gateway sends.
        """
        self.machine.start()
        folder = "/run/secrets/bawn"
        self.machine.succeed(f"useradd --system --uid {_NOBODY} {NODE}")
        self.machine.succeed(f"install -d -o {_NOBODY} -m 0700 {folder}")
        for name, secret in {"tailnet-key": key, "token": token}.items():
            self.machine.succeed(
                f"install -o {_NOBODY} -m 0400 /dev/null {folder}/{name}",
                f"printf %s '{secret}' > {folder}/{name}",
            )
        variables = {
            "BAWN_NODE": NODE,
            "BAWN_LOGIN_SERVER": f"https://{SERVER}",
            "BAWN_SETTINGS": json.dumps(json.loads(settings)),
            "BAWN_GPU": "none",
            "HOME": "/tmp",
            "PATH": f"{_BINARIES}:/usr/local/bin:/usr/bin:/bin",
        }
        given = [*(f"--property={name}={value}" for name, value in _CONTAINER.items())]
        given += [f"--setenv={name}='{value}'" for name, value in variables.items()]
        self.machine.succeed(f"systemd-run --quiet --unit={_UNIT} {' '.join(given)} bash /opt/pod/entrypoint.sh")
        self.machine.wait_until_succeeds(f"journalctl --unit={_UNIT} | grep 'has joined the tailnet'", timeout=120)

    def tailscale(self, arguments: str) -> str:
        """Output of a command of its tailscaled's, which must succeed within 6 s."""
        return self.machine.succeed(f"timeout 6 {_BINARIES}/tailscale --socket={_SOCKET} {arguments}")

    def stop(self) -> None:
        """What a provider does at the end of a lease: the first process is told to end."""
        self.machine.succeed(f"systemctl stop {_UNIT}")
