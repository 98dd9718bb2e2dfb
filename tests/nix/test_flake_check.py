"""`nix flake check`, the command itself, on a store of the tests' own: every output of every system evaluates."""

import re
from pathlib import Path

import pytest

from support import flake_store
from support.nix import nix_program, require_inputs

pytestmark = pytest.mark.timeout(1200)

NEEDS_NIXFMT = re.compile(r"(formatter|devShells)\.|checks\.[a-z0-9_-]+\.formatting$")
"""Outputs that need Haskell's package set, in which nixfmt is."""

EMPTY_MIB = 1


def without_haskell() -> bool:
    """Whether the named nixpkgs is a copy that lacks its largest file, and with it nixfmt."""
    tree = flake_store.named_inputs().get("nixpkgs")
    packages = "pkgs/development/haskell-modules/hackage-packages.nix"
    return tree is not None and (tree / packages).stat().st_size < EMPTY_MIB << 20


def failed_outputs(text: str) -> list[str]:
    """The outputs after whose `checking …` line comes an error."""
    failed: list[str] = []
    current = ""
    for line in text.splitlines():
        if found := re.match(r"checking .*?'?([\w.-]+)'?\.\.\.$", line):
            current = found[1]
        elif line.startswith("error (ignored)"):
            failed.append(current)
    return failed


def test_nix_flake_check_finds_nothing_wrong(tmp_path: Path) -> None:
    require_inputs()
    nix = nix_program()
    flake_store.copy_source(tmp_path)
    flake_store.lock_to_named_inputs(nix, tmp_path)
    options = ["--no-build", "--all-systems", "--keep-going", "--no-update-lock-file"]
    done = flake_store.nix(nix, "flake", "check", *options, f"path:{tmp_path}", timeout_s=1000)
    failed = failed_outputs(done.stderr)
    for name in ("packages", "apps", "nixosModules", "nixosConfigurations", "checks", "templates", "devShells"):
        assert f"checking flake output '{name}'" in done.stderr, done.stderr[-4000:]
    assert "checking derivation checks.x86_64-linux.vm-tailnet" in done.stderr
    if without_haskell():
        # nixfmt's own error is all that may be wrong.
        assert [name for name in failed if not NEEDS_NIXFMT.match(name)] == [], done.stderr[-4000:]
        return
    assert (failed, done.returncode) == ([], 0), done.stderr[-4000:]
