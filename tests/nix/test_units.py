"""The committed unit texts under systemd's own eyes, on any machine that has systemd-analyze."""

import re
from pathlib import Path

import pytest

from bawn.model_server.settings import ModelServerSettings
from support.exposure import SYSTEMD, exposure, installed, require_analyze_program, systemd_version, verified
from support.golden import golden_files

WORST_EXPOSURE = 2.0
"""`systemd-analyze security` of our own services; 10 is no protection at all."""

EXCEPTIONS: dict[str, tuple[float, str]] = {
    # unit: (exposure that it may have, why)
    "bawn-leave-generation.service": (
        10.0,
        "it switches the host to another generation, which is what nixos-rebuild does, as root",
    ),
    "bawn-bridge.service": (
        6.3,
        "a user's systemd has no mounts and no firewall of its own to give: seccomp and prctl are all there is",
    ),
}

WITHOUT_CAP = {
    # unit of the gateway host: why the sum of caps (nixos-modules/memory.nix) does without it
    "searx-init.service": "it has ended when SearXNG, which waits for it, starts",
    "tailscaled-autoconnect.service": "it has ended when the gateway, which waits for it, starts",
    "bawn-leave-generation.service": "it does what nixos-rebuild does in an operator's session",
    "sshd.service": "it is of the system, for which memory is kept (bawn.memory.systemMiB)",
}

UNITS = [name for name in golden_files() if name.endswith((".service", ".path", ".timer")) and "/nixpkgs/" not in name]
SERVICES = [name for name in UNITS if name.endswith(".service")]


def judge() -> str:
    """systemd-analyze of the version whose scores the limits are."""
    program = require_analyze_program()
    version = systemd_version(program)
    if version != SYSTEMD:
        pytest.skip(f"exposure is judged by systemd {SYSTEMD}, and this is {version}, which gives other scores")
    return program


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_to_say_about_a_unit(tmp_path: Path, name: str) -> None:
    run = verified(installed(tmp_path, name), user="/user/" in name)
    # It exits with 0 on keys that it doesn't know: what it says is what counts.
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(("kind", "key"), [("path", "PathModified"), ("timer", "OnBootSec"), ("service", "ExecStart")])
def test_a_key_that_systemd_does_not_know_is_found_in_each_kind_of_unit(tmp_path: Path, kind: str, key: str) -> None:
    name = next(name for name in UNITS if name.endswith(f".{kind}") and f"\n{key}=" in golden_files()[name])
    unit = installed(tmp_path, name)
    unit.write_text(unit.read_text(encoding="utf-8").replace(f"\n{key}=", f"\n{key}s=x\n{key}="), encoding="utf-8")
    assert re.search(rf"Unknown key\b.* '{key}s'", verified(unit).stderr)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_exposes_next_to_nothing(tmp_path: Path, name: str) -> None:
    unit = installed(tmp_path, name)
    limit, _ = EXCEPTIONS.get(unit.name, (WORST_EXPOSURE, ""))
    assert exposure(judge(), unit, user="/user/" in name) <= limit


def test_exposure_is_not_judged_by_another_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemd-analyze"
    program.write_text("#!/bin/sh\necho 'systemd 999 (999-1)'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(pytest.skip.Exception, match=f"judged by systemd {SYSTEMD}, and this is 999"):
        judge()


def test_a_model_server_that_keeps_its_state_has_time_to_write_all_of_it_to_a_slow_disk() -> None:
    unit = golden_files()["gpu-with-state/bawn-model-server.service"]
    seconds = re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.MULTILINE)
    assert seconds is not None
    defaults = ModelServerSettings()
    assert int(seconds[1]) >= defaults.drain_s + 5 + defaults.cache_mib / 32


@pytest.mark.parametrize("host", ["gateway", "gateway-with-meilisearch"])
def test_every_unit_of_the_gateway_host_has_a_memory_cap_or_a_reason_to_have_none(host: str) -> None:
    of_gateway = {Path(name).name: text for name, text in golden_files().items() if name.startswith(f"{host}/")}
    services = {name: text for name, text in of_gateway.items() if name.endswith(".service")}
    assert {name for name, text in services.items() if "\nMemoryMax=" not in text} == set(WITHOUT_CAP)
    for first, then in {"searx-init": "searx", "tailscaled-autoconnect": "bawn-gateway"}.items():
        assert f"{first}.service" in " ".join(
            line for line in services[f"{then}.service"].splitlines() if line.startswith("After=")
        )
