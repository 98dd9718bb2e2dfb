"""The GPU host's preflight, as evaluation renders it, on hosts made of files: one right sentence for each failure."""

import os
import re
import subprocess
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "nix" / "golden" / "gpu" / "files" / "bawn-gpu-preflight"
NVRM = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder)\nGCC version:\n"
COVERED = ["8.0", "8.6", "8.7", "8.9", "9.0", "12.0"]
CARD = "NVIDIA L4, 8.9, 24570, 24000"


class Host:
    """A host as the script sees it: driver, devices, `nvidia-smi` and `bawn`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.text = GOLDEN.read_text(encoding="utf-8")
        pinned = re.search(r'\[ "\$loaded" = "([\d.]+)" \]', self.text)
        assert pinned is not None
        self.driver: str | None = pinned[1]
        self.cards: list[str] | None = [CARD]
        self.device = "/dev/null"  # a character device
        self.gpu_check = 0

    def check(self) -> subprocess.CompletedProcess[str]:
        programs = self.folder / "bin"
        programs.mkdir()
        version = self.folder / "version"
        if self.driver is not None:
            version.write_text(NVRM.format(self.driver), encoding="utf-8")
        answer = "NVIDIA-SMI has failed\n" if self.cards is None else "\n".join(self.cards) + "\n"
        self._program(programs / "nvidia-smi", answer, 9 if self.cards is None else 0)
        self._program(programs / "bawn", "", self.gpu_check, said="bawn gpu-check: the card is wrong.")
        text = self.text.replace("@bash@/bin/bash", "/usr/bin/env bash").replace(
            "/proc/driver/nvidia/version", str(version)
        )
        text = text.replace("@bawn-model-server-cuda@/bin/bawn", str(programs / "bawn"))
        text = re.sub(r"^export PATH=.*$", f'export PATH="{programs}:$PATH"', text, flags=re.MULTILINE)
        text = text.replace("/dev/nvidiactl /dev/nvidia-uvm /dev/nvidia0", self.device)
        assert not re.search(r"@[a-z-]+@", text), "every placeholder must be mapped"
        return subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False, env={**os.environ})

    @staticmethod
    def _program(path: Path, answer: str, status: int, *, said: str = "") -> None:
        speak = f"echo '{said}' >&2\n" if status and said else ""
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}END\n{speak}exit {status}\n", encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host where all is well."""
    return Host(tmp_path)


def test_a_host_where_all_is_well_is_told_so(host: Host) -> None:
    run = host.check()
    assert run.returncode == 0, run.stderr
    assert f"driver {host.driver}, 24000 of 24570 MiB free" in run.stdout


@pytest.mark.parametrize(
    ("capability", "covered"),
    [(card, card in COVERED) for card in [*COVERED, "7.0", "7.5", "10.0", "10.3", "11.0", "12.1"]],
)
def test_a_card_is_covered_by_code_of_its_major_version_and_blackwell_by_its_own_alone(
    host: Host, capability: str, covered: bool
) -> None:
    host.text = host.text.replace("for architecture in 89; do", "for architecture in 80 89 90 120a; do")
    host.cards = [f"A card, {capability}, 24570, 24000"]
    run = host.check()
    assert (run.returncode == 0) == covered, run.stderr
    if not covered:
        digits = capability.replace(".", "")
        assert f"A card has compute capability {digits}, and the model server holds no code for it (" in run.stderr


def test_one_card_of_two_that_is_not_covered_is_enough_to_refuse(host: Host) -> None:
    host.cards = [CARD, "Old card, 6.1, 24570, 24000"]
    run = host.check()
    assert run.returncode == 1
    assert "Old card has compute capability 61" in run.stderr


def _no_module(host: Host) -> None:
    host.driver = None


def _updated(host: Host) -> None:
    host.driver = "595.84.01"


def _too_old(host: Host) -> None:
    # A host of the flake with such a driver doesn't evaluate: here CUDA needs a later one.
    host.text = host.text.replace("575.51.03", "600.10")


def _no_device(host: Host) -> None:
    host.device = "/dev/nvidia-that-is-not-there"


def _no_answer(host: Host) -> None:
    host.cards = None


def _full(host: Host) -> None:
    host.cards = ["NVIDIA L4, 8.9, 24570, 100"]


def _small(host: Host) -> None:
    host.cards = ["NVIDIA T, 8.9, 12000, 11900"]


def _miscomputes(host: Host) -> None:
    host.gpu_check = 1


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_no_module, r"bawn-gpu-preflight: The NVIDIA kernel module isn't loaded: "),
        (_updated, r"bawn-gpu-preflight: The loaded kernel module is of driver 595\.84\.01 and the libraries are of "),
        (_too_old, r"bawn-gpu-preflight: Driver [\d.]+ is older than 600\.10, which CUDA 12\.9 needs\.$"),
        (_no_device, r"bawn-gpu-preflight: The device /dev/nvidia-that-is-not-there is missing: "),
        (_no_answer, r"bawn-gpu-preflight: nvidia-smi doesn't reach the GPU: NVIDIA-SMI has failed$"),
        (_full, r"bawn-gpu-preflight: Only 100 of 24570 MiB are free on the GPU, and the plan needs \d+ "),
        (_small, r"bawn-gpu-preflight: The GPU has 12000 MiB, but bawn\.fleet\.nodes\.gpu\.vram_mib says "),
        (_miscomputes, r"bawn gpu-check: the card is wrong\.$"),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_"),
)
def test_each_failure_is_told_in_one_sentence(host: Host, spoil: object, sentence: str) -> None:
    assert callable(spoil)
    spoil(host)
    run = host.check()
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert re.match(sentence, run.stderr.strip())
