"""The example team's machines: what every way of joining them has in common."""

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bawn.model_server.settings import default_model_path
from support.hosts import golden_host, tree
from support.hosts.machine import Machine, control_groups
from support.hosts.network import UNDERLAY, Network, Networks
from support.nix import ROOT

DOMAIN: Final = "tailnet.example.org"
SECRETS: Final = "/var/lib/bawn-secrets"
CLIENT: Final = "/opt/test/client.py"


class Site:
    """Hosts in network namespaces, with the tokens, weights and repository that an operator would have brought."""

    PERSON: Final = "ada"
    """User of the laptop."""

    def __init__(self, folder: Path, people: Mapping[str, str], *networks: Network) -> None:
        """Make the machines; what they run is laid over them next.

        Args:
            folder: where their file systems are.
            people: laptop → its user.
            networks: beside the provider's.
        """
        self.networks = Networks(UNDERLAY, *networks)
        self.token = secrets.token_hex(16)
        base, model = tree.debian(), default_model_path()
        assert model is not None
        weights = [(model, "/var/lib/bawn-weights/Qwen3.6-27B-Q4_K_M.gguf")]
        self.machines = {
            host: Machine(
                host,
                folder / host,
                base,
                namespace=self.networks.join(host),
                binds=[*golden_host.binds(), *(weights if host == "gpu" else [])],
                memory_bytes=2 * 1024**3 if host == "gateway" and "memory" in control_groups() else None,
                cpus="0" if host == "gateway" else None,
            )
            for host in ("headscale", "gateway", "gpu", *people)
        }
        for machine in self.machines.values():
            machine.write(CLIENT, (golden_host.HERE / "client.py").read_text(encoding="utf-8"))
        self.gateway.write(f"{SECRETS}/token-gpu", self.token, mode=0o600)
        self.gpu.write(f"{SECRETS}/token", self.token, mode=0o600)
        _repository(self.gateway.root / "srv" / "git" / "app")
        for laptop, person in people.items():
            _person(self.machines[laptop], person)

    @property
    def headscale(self) -> Machine:
        """The coordination server's host."""
        return self.machines["headscale"]

    @property
    def gateway(self) -> Machine:
        """The gateway's host."""
        return self.machines["gateway"]

    @property
    def gpu(self) -> Machine:
        """The GPU host, without a card."""
        return self.machines["gpu"]

    @property
    def laptop(self) -> Machine:
        """The laptop of `PERSON`."""
        return next(machine for name, machine in self.machines.items() if name in ("laptop", self.PERSON))

    def underlay(self, host: str, version: int = 4) -> str:
        """The host's address on its provider's network."""
        return self.networks.address(host, UNDERLAY, version)

    def give_key(self) -> None:
        """Make an API key on the gateway and give it to the laptop's user, as an operator would."""
        key = self.gateway.succeed(f"bawn-keys add {self.PERSON}").split()[-1]
        home = f"/home/{self.PERSON}"
        self.laptop.write(f"{home}/.config/bawn/gateway.key", f"{key}\n", mode=0o600)
        self.laptop.succeed(f"chown -R {self.PERSON}:{self.PERSON} {home}")
        self.laptop.wait_until_succeeds(f"systemctl --user --machine={self.PERSON}@ restart bawn-bridge.service", 30)

    def accepted(self, host: str, targets: Sequence[tuple[str, int]], protocol: str = "tcp") -> list[tuple[str, int]]:
        """Those of the addresses and ports that accept a connection from `host`, or with `udp` answer to it."""
        named = {f"[{address}]:{port}": (address, port) for address, port in targets}
        told = json.loads(self.machines[host].succeed(f"python3 {CLIENT} {protocol} {' '.join(named)}"))
        return [named[target] for target, is_open in told.items() if is_open]

    def all_accepted(
        self, targets: Mapping[tuple[str, str], Sequence[tuple[str, int]]]
    ) -> dict[tuple[str, str], list[tuple[str, int]]]:
        """The same from several hosts, over `tcp` and `udp`, at once: a denied connection takes its whole time."""
        with ThreadPoolExecutor(len(targets)) as pool:
            told = pool.map(lambda one: self.accepted(one[0], targets[one], one[1]), targets)
            return dict(zip(targets, told, strict=True))

    def chat(self, *, streams: int = 1, tokens: int = 16) -> dict[str, Any]:
        """Streamed answers for the laptop's user through the bridge: how many were asked for, and which were lost."""
        return json.loads(self.laptop.succeed(self._chat_command(streams, tokens)))

    @contextmanager
    def streaming(self, tokens: int, within_s: float) -> Iterator[dict[str, Any]]:
        """One long answer, under way when the block begins; how it went is there when the block has ended.

        Args:
            tokens: length of the answer.
            within_s: how long its end is waited for, after the block.
        """
        begun, told = "/run/begun", dict[str, Any]()
        self.laptop.succeed(f"rm -f {begun}")
        command = f"{self._chat_command(1, tokens)} --begun-file {begun}"
        with subprocess.Popen(self.laptop.argv("sh", "-c", command), stdout=subprocess.PIPE, text=True) as asking:
            try:
                self.laptop.wait_until_succeeds(f"test -e {begun}", 60)
                yield told
                output, _ = asking.communicate(timeout=within_s)
            finally:
                asking.kill()
        told.update(json.loads(output)["answers"][0])

    @contextmanager
    def chatting(self, *, streams: int, tokens: int = 16) -> Iterator[dict[str, Any]]:
        """`chat`, again and again while the block runs; what came of it is there when the block has ended."""
        end, told = "/run/user/0/end", dict[str, Any]()
        self.laptop.succeed(f"mkdir -p {end.rpartition('/')[0]}; rm -f {end}")
        command = f"{self._chat_command(streams, tokens)} --until-file {end}"
        with subprocess.Popen(self.laptop.argv("sh", "-c", command), stdout=subprocess.PIPE, text=True) as asking:
            try:
                yield told
            finally:
                if self.laptop.runs:
                    self.laptop.succeed(f"touch {end}")
                output, _ = asking.communicate(timeout=180)
        told.update(json.loads(output) if output else {})

    def _chat_command(self, streams: int, tokens: int) -> str:
        key = f"/home/{self.PERSON}/.config/bawn/bridge.token"
        return f"python3 {CLIENT} chat http://127.0.0.1:8080 --key-file {key} --streams {streams} --tokens {tokens}"

    def close(self) -> None:
        """End all hosts."""
        for machine in self.machines.values():
            machine.close()
        self.networks.close()


def _repository(folder: Path) -> None:
    """A git repository to index: this project's Python sources."""
    shutil.copytree(ROOT / "python" / "src" / "bawn", folder / "bawn", ignore=shutil.ignore_patterns("__pycache__"))
    git = ("git", "-C", str(folder), "-c", "user.name=ada", "-c", "user.email=ada@example.org")
    for step in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "Sources")):
        subprocess.run([*git, *step], check=True)


def _person(machine: Machine, name: str) -> None:
    """A user whose services run from boot on, as `users.users.ada` with a session."""
    subprocess.run(
        ["chroot", str(machine.root), "useradd", "--create-home", name],
        check=True,
        capture_output=True,
    )
    machine.write(f"/var/lib/systemd/linger/{name}", "")
