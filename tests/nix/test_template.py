"""A new team's start: what `nix flake init` copies is a flake whose hosts evaluate against this one."""

import json
import subprocess
from pathlib import Path

import pytest

from support import flake_store
from support.nix import ROOT, nix_program, require_inputs

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This flake, with the inputs that are here."""
    require_inputs()
    folder = tmp_path_factory.mktemp("bawn")
    flake_store.copy_source(folder)
    flake_store.lock_to_named_inputs(nix_program(), folder)
    return folder


def evaluated(team: Path, bawn: Path, attribute: str, *options: str) -> subprocess.CompletedProcess[str]:
    """An attribute of the team's flake, of which `bawn` is an input."""
    return flake_store.nix(
        *(nix_program(), "eval", "--no-write-lock-file", "--override-input", "bawn", f"path:{bawn}"),
        *(f"path:{team}#{attribute}", *options),
        timeout_s=500,
    )


def test_a_new_team_s_hosts_evaluate_and_a_fleet_that_can_not_work_is_refused(tmp_path: Path, bawn: Path) -> None:
    nix, team = nix_program(), tmp_path / "team"
    team.mkdir()
    done = flake_store.nix(nix, "flake", "init", "--template", f"path:{bawn}#fleet", cwd=team, timeout_s=300)
    assert done.returncode == 0, done.stderr
    copied = {path.relative_to(team) for path in team.rglob("*") if path.is_file()}
    assert copied == {path.relative_to(ROOT / "hosts") for path in (ROOT / "hosts").rglob("*") if path.is_file()}

    systems = "builtins.mapAttrs (_: host: host.config.system.build.toplevel.drvPath)"
    done = evaluated(team, bawn, "nixosConfigurations", "--json", "--apply", systems)
    assert done.returncode == 0, done.stderr[-4000:]
    found = {host: path.partition("-")[2] for host, path in json.loads(done.stdout).items()}
    names = {"headscale": "headscale", "gateway": "gateway", "gpu": "gpu", "laptop": "ada-laptop"}
    assert found.keys() == names.keys()
    assert all(found[host].startswith(f"nixos-system-{name}-") for host, name in names.items())

    fleet = (team / "fleet.nix").read_text(encoding="utf-8")
    (team / "fleet.nix").write_text(fleet.replace("vram_mib = 24576", "vram_mib = 16384"), encoding="utf-8")
    done = evaluated(team, bawn, "nixosConfigurations.gateway.config.system.build.toplevel.drvPath")
    assert "bawn.fleet.nodes.gpu.vram_mib: coder needs 22524 MiB" in done.stderr
