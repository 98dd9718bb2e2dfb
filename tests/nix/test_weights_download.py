"""The script of bawn-weights.service, as evaluation renders it, with its own curl and a real server over TLS."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.golden import GOLDEN
from support.weights_server import WeightsServer, serving

SCRIPT = GOLDEN / "gpu-with-download" / "files" / "bawn-weights-download"
URL = "https://weights.example.org/Qwen3.6-27B-Q4_K_M.gguf"
PINNED = "0123456789abcdef" * 4
EMBEDDER_URL = "https://weights.example.org/embedder.gguf"
EMBEDDER_PINNED = "fedcba9876543210" * 4
DIRECTORY = "/var/lib/bawn-weights"
CONTENT = os.urandom(100_000)
RIGHT = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Host:
    """What the unit has of a host: its state folder, and the way to the server."""

    folder: Path
    server: WeightsServer
    certificate: Path
    wanted: str = RIGHT

    @property
    def part(self) -> Path:
        return self.folder / f"{self.wanted}.part"

    @property
    def weights(self) -> Path:
        return self.folder / self.wanted / "Qwen3.6-27B-Q4_K_M.gguf"

    def url(self, scheme: str = "https") -> str:
        return self.server.url("Qwen3.6-27B-Q4_K_M.gguf", scheme=scheme)

    def fetch(self, *, scheme: str = "https") -> subprocess.CompletedProcess[str]:
        """Run the script with the placeholders mapped to this machine's programs, and the test's file and folder."""
        text = SCRIPT.read_text(encoding="utf-8").replace("@bash@/bin/bash", "/usr/bin/env bash")
        text = re.sub(r"^export PATH=.*$", "", text, flags=re.MULTILINE)
        places = {URL: self.url(scheme), PINNED: self.wanted, DIRECTORY: str(self.folder)}
        places |= {EMBEDDER_URL: self.server.url("embedder.gguf", scheme="https"), EMBEDDER_PINNED: RIGHT}
        for of_host, here in places.items():
            assert of_host in text
            text = text.replace(of_host, here)
        assert not re.search(r"@[a-z-]+@", text), "every placeholder must be mapped"
        return subprocess.run(
            ["bash", "-c", text],
            env={"PATH": "/usr/bin:/bin", "CURL_CA_BUNDLE": str(self.certificate)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def embedder(self) -> Path:
        """The other weights, which are there already unless a test takes them away."""
        return self.folder / RIGHT / "embedder.gguf"

    def left(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path != self.embedder)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host whose weights are served by a server with a certificate that it trusts."""
    for name in ("curl", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing, by which weights are fetched over TLS: apt-get install {name}")
    key, certificate, both = (tmp_path / name for name in ("key.pem", "certificate.pem", "both.pem"))
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    folder = tmp_path / "weights"
    folder.mkdir()
    with serving(CONTENT, certificate=both) as server:
        host = Host(folder, server, certificate)
        host.embedder.parent.mkdir()
        host.embedder.write_bytes(CONTENT)
        yield host


def test_the_right_weights_lie_in_the_folder_of_their_hash_and_are_not_fetched_again(host: Host) -> None:
    done = host.fetch()
    assert done.returncode == 0, done.stderr
    assert host.left() == [host.weights]
    assert host.weights.read_bytes() == CONTENT
    assert host.fetch().returncode == 0
    assert len(host.server.requests) == 1


def test_a_model_that_embeds_is_fetched_after_the_one_that_generates(host: Host) -> None:
    host.embedder.unlink()
    done = host.fetch()
    assert done.returncode == 0, done.stderr
    assert [host.weights.read_bytes(), host.embedder.read_bytes()] == [CONTENT, CONTENT]
    assert len(host.server.requests) == 2


def test_weights_with_another_hash_are_deleted_and_told_of(host: Host) -> None:
    host.wanted = "0" * 64
    done = host.fetch()
    assert done.returncode == 1
    sentence = (
        f"The weights from {host.url()} don't have the SHA-256 that bawn.fleet.models.coder names: they are deleted."
    )
    assert done.stderr.splitlines() == [sentence]
    assert host.left() == []


def test_a_download_that_was_cut_goes_on_where_it_ended(host: Host) -> None:
    host.server.cuts = [40_000]
    assert host.fetch().returncode != 0
    assert host.left() == [host.part]
    arrived = host.part.stat().st_size
    assert 0 < arrived <= 40_000
    done = host.fetch()
    assert done.returncode == 0, done.stderr
    assert host.server.requests[-1]["range"] == f"bytes={arrived}-"
    assert host.weights.read_bytes() == CONTENT


def test_what_was_whole_when_power_was_cut_is_checked_and_not_asked_for(host: Host) -> None:
    host.part.write_bytes(CONTENT)
    assert host.fetch().returncode == 0
    assert host.left() == [host.weights]
    assert host.server.requests == []


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 1])
def test_what_is_whole_by_its_size_only_is_begun_anew(host: Host, length: int) -> None:
    host.part.write_bytes(bytes(length))
    assert host.fetch().returncode == 1
    assert host.left() == []
    assert host.fetch().returncode == 0
    assert host.weights.read_bytes() == CONTENT


def test_weights_are_asked_for_over_tls_only(host: Host) -> None:
    done = host.fetch(scheme="http")
    assert done.returncode != 0
    assert "not supported" in done.stderr
    assert host.server.requests == []
