"""The committed unit texts under systemd's own eyes, on any machine that has systemd-analyze."""

import subprocess
from pathlib import Path

import pytest

from support.exposure import analyze_program, exposure, installed
from support.golden import golden_files

WORST_EXPOSURE = 2.0
"""`systemd-analyze security` of our own services; 10 is no protection at all."""

AS_ROOT = "it switches the host to another generation, which is what nixos-rebuild does, as root"

EXCEPTIONS: dict[str, tuple[float, str]] = {
    # unit: (exposure that it may have, why)
    f"{host}/bawn-leave-generation.service": (10.0, AS_ROOT)
    for host in ("gateway", "gpu", "gpu-without-card", "headscale", "headscale-with-certificate")
}

SERVICES = [name for name in golden_files() if name.endswith(".service") and "/nixpkgs/" not in name]


def analyze() -> str:
    program = analyze_program()
    if program is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    return program


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_nothing_to_say_about_a_unit(tmp_path: Path, name: str) -> None:
    unit = installed(tmp_path, name)
    mode = ["--user"] if "/user/" in name else []
    run = subprocess.run(
        [analyze(), "verify", "--man=no", "--recursive-errors=no", *mode, str(unit)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )
    # It exits with 0 on keys that it doesn't know: what it says is what counts.
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("name", [name for name in SERVICES if "/user/" not in name])
def test_a_service_exposes_next_to_nothing(tmp_path: Path, name: str) -> None:
    unit = installed(tmp_path, name)
    limit, _ = EXCEPTIONS.get(name, (WORST_EXPOSURE, ""))
    assert exposure(analyze(), unit) <= limit
