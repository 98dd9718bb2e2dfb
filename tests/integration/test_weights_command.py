"""`bawn weights` as a process of its own, against a real server that breaks, and killed in the middle."""

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.downloading import download
from bawn.model_server.weights.fetching import Wanted, fetch
from bawn.model_server.weights.hashing import Digest
from bawn.model_server.weights.links import link
from bawn.model_server.weights.progress import Lines
from support.until import until
from support.weights_server import WeightsServer, serving

BAWN = [sys.executable, "-c", "from bawn.cli import main; main()"]
CONTENT = b"GGUF" + random.Random(7).randbytes(3 << 20)
QWEN = "Qwen3.6-27B-Q4_K_M.gguf"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
FLEET = """
name = "example"
[tailnet]
base_domain = "tailnet.example.org"
server_url = "https://headscale.example.org"
[people.ada]
login = "ada@example.org"
models = ["coder"]
[nodes]
headscale = { role = "headscale" }
gateway = { role = "gateway" }
gpu = { role = "gpu", models = ["coder"] }
ada-laptop = { role = "laptop", owner = "ada" }
"""


@pytest.fixture
def server() -> Generator[WeightsServer]:
    with serving(CONTENT) as running:
        yield running


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES} | environment
    argv = [*BAWN, "weights", *map(str, arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    with process:
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def weights(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return finished(start(*arguments, **environment))


def fetch_arguments(server: WeightsServer, folder: Path) -> list[str | Path]:
    return ["fetch", server.url(), "--sha256", SHA256, "--to", folder]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_weights_are_pinned_and_fetched(server: WeightsServer, tmp_path: Path) -> None:
    pinned = weights("pin", server.url())
    assert pinned.returncode == 0, pinned.stderr
    entry = tomllib.loads(pinned.stdout)["models"]["coder"]
    assert entry == {"file": "a.gguf", "size_mib": 4, "url": server.url(), "sha256": SHA256}
    done = weights("fetch", server.url(), "--sha256", entry["sha256"], "--to", tmp_path / "weights")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/weights/a.gguf\n"), done.stderr
    assert done.stderr.splitlines() == [
        "a.gguf: fetching 3.0 MiB",
        f"a.gguf: fetched, {len(CONTENT):,} bytes; the SHA-256 is right.",
    ]
    assert (tmp_path / "weights" / "a.gguf").read_bytes() == CONTENT
    asked = len(server.requests)
    again = weights("fetch", server.url(), "--sha256", SHA256, "--to", tmp_path / "weights")
    assert "already there" in again.stderr
    assert len(server.requests) == asked


def test_connections_that_break_are_gone_on_with(server: WeightsServer, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 500_000, 1]
    done = weights("fetch", server.url("moved/a.gguf"), "--sha256", SHA256, "--to", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.gguf").read_bytes() == CONTENT
    assert [request.get("range") for request in server.requests] == [
        None,
        "bytes=1000000-",
        "bytes=1500000-",
        "bytes=1500001-",
    ]
    assert done.stderr.count("trying again\n") == 3
    assert names(tmp_path) == ["a.gguf"]


def test_a_pin_survives_connections_that_break(server: WeightsServer) -> None:
    server.cuts = [1_000_000, 500_000]
    done = weights("pin", server.url(), "--nix")
    assert f'sha256 = "{SHA256}";' in done.stdout
    assert len(server.requests) == 3


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_fetch_that_is_killed_is_gone_on_with(server: WeightsServer, tmp_path: Path, ranges: bool) -> None:
    server.hold_after = 1_000_000
    server.ranges = ranges
    part = tmp_path / "a.gguf.part"
    process = start(*fetch_arguments(server, tmp_path))
    await until(lambda: part.exists() and part.stat().st_size == 1_000_000)
    process.send_signal(signal.SIGKILL)
    assert finished(process).returncode == -signal.SIGKILL
    server.release.set()
    assert names(tmp_path) == ["a.gguf.part", "a.gguf.part.json"]
    assert part.read_bytes() == CONTENT[:1_000_000]

    done = weights(*fetch_arguments(server, tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.gguf").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.gguf"]
    assert (server.requests[1]["range"], server.requests[1]["if-range"]) == ("bytes=1000000-", '"one"')
    assert ("can't go on in the middle" in done.stderr) is not ranges


async def test_a_file_that_changed_between_two_runs_starts_anew(server: WeightsServer, tmp_path: Path) -> None:
    server.content, server.etag = b"GGUF" + bytes(3 << 20), '"old"'
    server.hold_after = 1_000_000
    process = start(*fetch_arguments(server, tmp_path))
    await until(server.held.is_set)
    await until(lambda: (tmp_path / "a.gguf.part").stat().st_size == 1_000_000)
    process.kill()
    finished(process)
    server.release.set()
    server.content, server.etag = CONTENT, '"new"'
    done = weights(*fetch_arguments(server, tmp_path))
    assert done.returncode == 0, done.stderr
    assert "another one now; from the start" in done.stderr
    assert (tmp_path / "a.gguf").read_bytes() == CONTENT


async def test_of_two_at_once_one_fetches_and_one_says_so(server: WeightsServer, tmp_path: Path) -> None:
    server.hold_after = 1_000_000
    first = start(*fetch_arguments(server, tmp_path))
    await until(server.held.is_set)
    second = weights(*fetch_arguments(server, tmp_path))
    assert second.returncode == 2
    assert second.stderr == (
        f"bawn: {tmp_path}/a.gguf.part: another `bawn weights fetch` is writing it. Wait until it is done, or end it.\n"
    )
    server.release.set()
    done = finished(first)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.gguf").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_of_many_at_once_the_file_is_right_and_nothing_else_is_left(server: WeightsServer, tmp_path: Path) -> None:
    processes = [start(*fetch_arguments(server, tmp_path)) for _ in range(4)]
    codes = [finished(process).returncode for process in processes]
    assert 0 in codes
    assert set(codes) <= {0, 2}
    assert (tmp_path / "a.gguf").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.gguf"]


def test_a_wrong_hash_is_one_error_and_leaves_nothing(server: WeightsServer, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    done = weights(*fetch_arguments(server, tmp_path))
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("bawn: ")]
    assert len(told) == 1
    assert f"not {SHA256}: it is deleted" in told[0]
    assert names(tmp_path) == []


def test_a_sealed_host_takes_what_was_carried_there(server: WeightsServer, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "a.gguf").write_bytes(CONTENT)
    done = weights(*fetch_arguments(server, tmp_path / "weights"), "--from", tmp_path / "stick")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights" / "a.gguf").read_bytes() == CONTENT
    assert server.requests == []
    (tmp_path / "weights" / "a.gguf").unlink()
    (tmp_path / "stick" / "a.gguf").write_bytes(b"GGUF, but another")
    refused = weights(*fetch_arguments(server, tmp_path / "weights"), "--from", tmp_path / "stick")
    assert refused.returncode == 2
    assert "it is another file" in refused.stderr
    assert names(tmp_path / "weights") == []


def test_a_disk_that_takes_no_more_is_named_and_what_came_is_kept(server: WeightsServer, tmp_path: Path) -> None:
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, {resource.RLIM_INFINITY})); "
    argv = [sys.executable, "-c", program + "from bawn.cli import main; main()", "weights"]
    argv += map(str, fetch_arguments(server, tmp_path))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"bawn: {tmp_path}/a.gguf.part: File too large." in done.stderr
    assert f"{tmp_path}/a.gguf.part is kept" in done.stderr
    assert (tmp_path / "a.gguf.part").read_bytes() == CONTENT[: 1 << 20]
    assert weights(*fetch_arguments(server, tmp_path)).returncode == 0
    assert server.requests[-1]["range"] == f"bytes={1 << 20}-"


def test_a_server_that_falls_silent_is_left_for_another_connection(server: WeightsServer, tmp_path: Path) -> None:
    server.hold_after = 1_000_000
    with (
        (tmp_path / "told").open("w", encoding="utf-8") as stream,
        httpx.Client(timeout=0.5, trust_env=False) as client,
    ):
        brought = fetch(Wanted("a.gguf", SHA256, server.url()), tmp_path, client, Lines("a.gguf", stream))
    assert brought.path.read_bytes() == CONTENT
    assert "the server is silent; trying again" in (tmp_path / "told").read_text(encoding="utf-8")
    assert server.requests[1]["range"] == "bytes=1000000-"


def test_a_server_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        url = server.url()
    pauses: list[float] = []
    with httpx.Client(timeout=5, trust_env=False) as client, (tmp_path / "told").open("w", encoding="utf-8") as stream:
        with pytest.raises(SettingsError, match=r"the connection broke \(.*refused.*\); given up after 5 tries"):
            download(client, link(url), Digest(url), Lines("a.gguf", stream), pause=pauses.append)
    assert pauses == [1, 2, 4, 8]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate of the https server")
def test_a_node_of_the_fleet_gets_its_weights_over_https(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(
        [*request, "-keyout", certificate, "-out", tmp_path / "public.pem"], check=True, capture_output=True, timeout=60
    )
    with certificate.open("ab") as file:
        file.write((tmp_path / "public.pem").read_bytes())
    trusted = {"SSL_CERT_FILE": str(tmp_path / "public.pem")}
    with serving(CONTENT, certificate=certificate) as server:
        url = server.url(QWEN, scheme="https")
        pinned = weights("pin", url, **trusted)
        assert pinned.returncode == 0, pinned.stderr
        fleet = tmp_path / "fleet.toml"
        # The second is of the same content here: it is the other file that counts.
        embedding = pinned.stdout.replace("models.coder", "models.embedder").replace(QWEN, "embedder.gguf")
        served = FLEET.replace('models = ["coder"] }', 'models = ["coder"], embedding_model = "embedder" }')
        fleet.write_text(f"{served}\n{pinned.stdout}\n{embedding}", encoding="utf-8")
        done = weights("fetch", fleet, "--node", "gpu", "--to", tmp_path / "weights", **trusted)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [str(tmp_path / "weights" / name) for name in (QWEN, "embedder.gguf")]
        assert (tmp_path / "weights" / QWEN).read_bytes() == CONTENT
        distrusted = weights("pin", url)
        assert distrusted.returncode == 2
        assert "the certificate is not trusted: self-signed certificate" in distrusted.stderr
