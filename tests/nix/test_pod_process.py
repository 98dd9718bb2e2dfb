"""The pod's first process with a real Headscale, tailscaled and model: it joins, serves, and ends with its parts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bawn.model_server.settings import default_model_path
from support import tiny_embedder
from support.headscale import Headscale
from support.nix import ROOT
from support.ports import free_port
from support.tailnet_binaries import tailnet_binaries
from support.until import until

pytestmark = pytest.mark.timeout(300, func_only=True)

TOKEN = "a-token-of-the-test"
STATE_KEY = "a-state-key-of-the-test"


@dataclass
class Pod:
    environment: dict[str, str]
    headscale: Headscale
    log: Path
    url: str
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["bash", str(ROOT / "nixos-modules" / "pod" / "entrypoint.sh")],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def cached_tokens(self, prompt: str) -> int:
        """Of the prompt, once it is answered: tokens that were not computed."""
        body = {"model": "coder", "prompt": prompt, "max_tokens": 1}
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.post(f"{self.url}/v1/completions", json=body, headers=headers, timeout=120, trust_env=False)
        return answer.raise_for_status().json()["usage"]["prompt_tokens_details"]["cached_tokens"]

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> dict[str, int]:
        """Program → process id."""
        listed = subprocess.run(
            ["ps", "--ppid", str(self.process.pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
        )
        lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
        return {
            name: int(pid) for pid, args in lines for name in ("tailscaled", "model-server") if f"{name} --" in args
        }

    def serves(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/v1/models", headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """A pod on the CPU that is starting."""
    binaries, model = tailnet_binaries(), default_model_path()
    assert model is not None
    volume, port = tmp_path / "weights", free_port()
    volume.mkdir()
    (volume / model.name).symlink_to(model)
    tiny_embedder.write(volume / "embedder.gguf")
    settings = {"model": model.name, "alias": "coder", "n_ctx": 1024, "n_slots": 1, "port": port}
    settings |= {"state_dir": "/var/lib/bawn-model-server", "state_key_file": "/run/credentials/state-key"}
    settings |= {"embedding_model": "/var/lib/bawn-models/embedder.gguf", "embedding_alias": "embedder"}
    headscale = Headscale(binaries, tmp_path)
    headscale.policy.write_text(json.dumps({"tagOwners": {"tag:pod": []}, "acls": []}), encoding="utf-8")
    with headscale.running():
        kind = ("--tags", "tag:pod", "--ephemeral", "--reusable", "--expiration", "5m")
        key = headscale.ask("preauthkeys", "create", *kind)["key"]
        environment = {
            "PATH": f"{binaries}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "BAWN_RUN": str(tmp_path / "run"),
            "BAWN_WEIGHTS": str(volume),
            "BAWN_NODE": "rented",
            "BAWN_SETTINGS": json.dumps(settings),
            "BAWN_LOGIN_SERVER": json.loads(headscale.config.read_text(encoding="utf-8"))["server_url"],
            "BAWN_TAILNET_KEY": key,
            "BAWN_TOKEN": TOKEN,
            "BAWN_STATE_KEY": STATE_KEY,
            "BAWN_GPU": "none",
        }
        pod = Pod(environment, headscale, tmp_path / "pod.log", f"http://127.0.0.1:{port}")
        pod.start()
        try:
            yield pod
        finally:
            pod.process.terminate()
            pod.process.wait(timeout=60)


async def test_a_pod_joins_by_its_tag_serves_on_loopback_and_ends_with_its_tailscaled(pod: Pod) -> None:
    await until(pod.serves, within_s=120)
    listed = httpx.get(f"{pod.url}/v1/models", headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False).json()
    assert [card["id"] for card in listed["data"]] == ["coder", "embedder"]
    await until(lambda: "has joined the tailnet" in pod.said(), within_s=60)
    (node,) = pod.headscale.ask("nodes", "list")
    assert node["given_name"] == "rented"
    assert "tag:pod" in json.dumps(node)

    # No secret is in the environment or the arguments of anything that runs.
    for process in (pod.process.pid, *pod.children().values()):
        for file in ("environ", "cmdline"):
            text = Path(f"/proc/{process}/{file}").read_bytes()
            assert not [secret for secret in (TOKEN, STATE_KEY) if secret.encode() in text]

    os.kill(pod.children()["tailscaled"], signal.SIGTERM)
    assert pod.process.wait(timeout=60) == 1
    assert "so does the pod" in pod.said()
    assert not pod.serves()


async def test_a_pod_that_is_stopped_ends_both_parts_and_comes_back_warm(pod: Pod) -> None:
    prompt = "a prompt that is computed once, " * 20
    await until(pod.serves, within_s=120)
    assert pod.cached_tokens(prompt) == 0
    pod.process.terminate()
    assert pod.process.wait(timeout=60) == 0
    assert not pod.serves()

    pod.start()
    await until(pod.serves, within_s=120)
    assert pod.cached_tokens(prompt) > 50
