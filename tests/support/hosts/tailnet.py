"""The example team on a real tailnet: Headscale and tailscaled under nixpkgs' units, as the modules configure them."""

import json
import subprocess
from pathlib import Path
from typing import Final

import scenarios.tailnet
from support.hosts import golden_host
from support.hosts.machine import Machine
from support.hosts.network import UNDERLAY
from support.hosts.site import Site
from support.tailnet_binaries import tailnet_binaries

SERVER: Final = "headscale.example.org"
NODES: Final = {
    "headscale": "headscale",
    "gateway": "gateway",
    "gpu": "gpu",
    "ada": "ada-laptop",
    "bob": "bob-laptop",
}
"""Machine → node of the fleet."""
_BINARIES: Final = "/opt/tailnet"
_GOLDEN: Final = {
    "headscale": "headscale-with-certificate",
    "gpu": "gpu-without-card",
    "ada": "laptop",
    "bob": "laptop",
}


_LISTEN: Final = "s = socket.create_server(('::', 22), family=socket.AF_INET6, dualstack_ipv6=True)"
_SSHD: Final = f"""[Service]
ExecStart=/usr/bin/python3 -c "import socket; {_LISTEN}; [s.accept() for _ in iter(int, 1)]"
"""


class TailnetHosts(Site):
    """Headscale, gateway, GPU host, the laptop of an operator, and the laptop of somebody who is none."""

    NAMES: Final = ("headscale", "gateway", "gpu", "ada", "bob")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"ada": "ada", "bob": "bob"})
        self.fleet = folder / "fleet.json"
        self.fleet.write_text(json.dumps(with_bob(json.loads(golden_host.FLEET.read_text(encoding="utf-8")))))
        certificate, key = self._certificate(folder)
        for host, machine in self.machines.items():
            golden_host.lay(
                machine,
                _GOLDEN.get(host, host),
                node=NODES[host],
                fleet=self.fleet,
                programs={"tailscale": _BINARIES, "headscale": _BINARIES},
                without=("meilisearch.service", "searx-init.service", "searx.service"),
            )
            self._programs(machine)
            machine.write("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{self.underlay('headscale')} {SERVER}\n")
            machine.link("/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf")
            # security.pki.certificateFiles
            known = machine.root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
            machine.write("/etc/ssl/certs/ca-certificates.crt", known.read_bytes() + certificate)
        self.headscale.write("/var/lib/certificates/certificate.pem", certificate)
        self.headscale.write("/var/lib/certificates/key.pem", key, mode=0o600)
        self.headscale.write("/etc/bawn/fleet.json", self.fleet.read_bytes())
        self.set_policy()

    def set_policy(self) -> None:
        """Put the policy of the fleet where the host's configuration has it."""
        policy = golden_host.bawn("fleet", "policy", self.fleet, "--for", "headscale")
        self.headscale.write("/etc/headscale/policy.json", policy)

    def _programs(self, machine: Machine) -> None:
        binaries = tailnet_binaries()
        for program in ("headscale", "tailscale", "tailscaled"):
            machine.link(f"/usr/local/bin/{program}", f"{_BINARIES}/bin/{program}")
        unit = (binaries / "tailscaled.service").read_text(encoding="utf-8")
        # What nixpkgs' package does to it.
        kept = [line for line in unit.splitlines() if not line.startswith("EnvironmentFile=")]
        unit = "\n".join(kept).replace("/usr/sbin/", f"{golden_host.STORE}/tailscale/bin/")
        machine.write("/etc/systemd/system/tailscaled.service", unit + "\n")
        machine.bind(binaries, f"{_BINARIES}/bin")

    @staticmethod
    def _certificate(folder: Path) -> tuple[bytes, bytes]:
        """A certificate for the server's name, which is its own authority, and its key."""
        paths = [folder / "certificate.pem", folder / "key.pem"]
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-days", "3650", "-subj", f"/CN={SERVER}", "-addext", f"subjectAltName=DNS:{SERVER}"),
                *("-out", str(paths[0]), "-keyout", str(paths[1])),
            ],
            check=True,
            capture_output=True,
        )
        return paths[0].read_bytes(), paths[1].read_bytes()

    def start(self, *hosts: str) -> None:
        """Boot hosts; on servers something listens on every address on port 22, where sshd would."""
        for host in hosts:
            machine = self.machines[host]
            if host in ("gateway", "gpu", "headscale"):
                machine.write("/etc/systemd/system/sshd.service", _SSHD)
                machine.link("/etc/systemd/system/multi-user.target.wants/sshd.service", "../sshd.service")
            machine.start()

    def address(self, host: str, version: int = 4) -> str:
        """The machine's address on the tailnet."""
        return self.machines[host].succeed(f"tailscale ip -{version}").strip()

    def set_up_anew(self, host: str) -> None:
        """Let a server join as a fresh machine: under its name, with another address."""
        machine = self.machines[host]
        machine.succeed(
            "systemctl stop tailscaled.service", "rm -r /var/lib/tailscale", "systemctl start tailscaled.service"
        )
        scenarios.tailnet.join_server(self.headscale, machine, NODES[host], again=True)
        self.headscale.succeed("bawn fleet apply --yes")

    def underlays(self) -> dict[str, str]:
        """Each machine's address on the network below the tailnet."""
        return {host: self.networks.address(host, UNDERLAY) for host in self.machines}


def with_bob(fleet: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """The fleet with a second person, who is no operator."""
    fleet["people"]["bob"] = {"login": "bob@example.org", "models": ["coder"], "indexes": ["code"], "ssh": False}
    fleet["nodes"]["bob-laptop"] = {"role": "laptop", "owner": "bob"}
    return fleet
