"""Evaluating the flake with a real Nix against a real nixpkgs."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NIX_TESTS = ROOT / "tests" / "nix"

_CONFIG = """
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substitute = false
flake-registry =
build-hook =
builders =
allow-import-from-derivation = false
"""


def nix_program(name: str = "nix") -> str:
    """A program of Nix, or a skip with the reason."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not on PATH: install Nix to evaluate the flake")
    return program


def run(expression: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Evaluate an expression in which `flake` is ours and `lib` is nixpkgs', as JSON; nothing is written to a store."""
    if "NIXPKGS_TREE" not in os.environ or "BAWN_FLAKE_INPUTS" not in os.environ:
        pytest.skip("NIXPKGS_TREE and BAWN_FLAKE_INPUTS name no nixpkgs and flake inputs to evaluate against")
    whole = f"let flake = import {NIX_TESTS}/evaluate.nix; inherit (flake.inputs.nixpkgs) lib; in {expression}"
    return subprocess.run(
        [
            *(nix_program("nix-instantiate"), "--eval", "--strict", "--json"),
            *("--readonly-mode", "--store", "dummy://", "--expr", whole),
        ],
        env={**os.environ, "NIX_CONFIG": _CONFIG},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def evaluate(expression: str) -> Any:
    """The value of an expression, as `run` takes it."""
    done = run(expression)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)
