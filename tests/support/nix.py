"""Evaluating the flake with a real Nix against a real nixpkgs."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from support import flake_store, nix_from_debian

ROOT = flake_store.ROOT
NIX_TESTS = ROOT / "tests" / "nix"


@functools.cache
def _nix_folder() -> Path | str:
    """The folder with Nix's programs, or why there is none."""
    found = shutil.which("nix-instantiate")
    if found is not None:
        return Path(found).parent
    try:
        return nix_from_debian.set_up()
    except nix_from_debian.NotPossibleError as error:
        return f"nix is not on PATH, and could not be set up: {error}"


def nix_program(name: str = "nix") -> str:
    """A program of Nix, from PATH or set up from Debian's packages, or a skip with the reason."""
    folder = _nix_folder()
    if isinstance(folder, str):
        pytest.skip(folder)
    return str(folder / name)


@functools.cache
def _inputs() -> dict[str, str] | str:
    """The variables by which evaluate.nix finds the flake's inputs, or why there are none."""
    if flake_store.named_inputs():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        flake_store.copy_source(source)
        try:
            return flake_store.linked(flake_store.fetched_inputs(nix_program(), source))
        except flake_store.InputsMissingError as error:
            return (
                "NIXPKGS_TREE and BAWN_FLAKE_INPUTS name no nixpkgs and flake inputs to evaluate against,"
                f" and those of flake.lock can't be fetched: {error}"
            )


def require_inputs() -> dict[str, str]:
    """The variables by which the flake's inputs are found, or a skip with the reason."""
    inputs = _inputs()
    if isinstance(inputs, str):
        pytest.skip(inputs)
    return inputs


def run(expression: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Evaluate an expression in which `flake` is ours and `lib` is nixpkgs', as JSON; nothing is written to a store."""
    program, inputs = nix_program("nix-instantiate"), require_inputs()
    whole = f"let flake = import {NIX_TESTS}/evaluate.nix; inherit (flake.inputs.nixpkgs) lib; in {expression}"
    return subprocess.run(
        [program, "--eval", "--strict", "--json", "--readonly-mode", "--store", "dummy://", "--expr", whole],
        env={**os.environ, **inputs, "NIX_CONFIG": flake_store.CONFIG},
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
