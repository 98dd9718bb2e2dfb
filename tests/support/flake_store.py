"""A Nix store of the tests' own, in the cache folder, with the flake's inputs in it: `/nix` isn't needed or touched.

An input whose content is what flake.lock says is found there by its hash, so that neither the network nor an override
is needed for it.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from support.nix_from_debian import cache_folder

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {
    # input: its folder in BAWN_FLAKE_INPUTS
    "uv2nix": "uv2nix",
    "pyproject-nix": "pyproject-nix",
    "pyproject-build-systems": "build-system-pkgs",
    "headscale": "headscale",
    "treefmt-nix": "treefmt-nix",
}

CONFIG = """
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substitute = false
flake-registry =
build-hook =
builders =
allow-import-from-derivation = false
connect-timeout = 10
download-attempts = 2
"""


class InputsMissingError(Exception):
    """There is no nixpkgs or another input; says why."""


def store() -> Path:
    """Root of the store: what Nix calls `/nix/store/X` is `store() / "nix/store/X"`."""
    return cache_folder() / "store"


def nix(program: str, *arguments: str, timeout_s: float, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of Nix on that store."""
    cache = cache_folder() / "nix-cache"
    cache.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [program, *arguments, "--store", str(store())],
        cwd=cwd,
        env={**os.environ, "NIX_CONFIG": CONFIG, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def copy_source(folder: Path) -> None:
    """Copy the flake as it is in the work tree, without what git ignores: environments and caches aren't its source."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        # A file that is deleted but still in the index is listed, too.
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def named_inputs() -> dict[str, Path]:
    """The inputs as NIXPKGS_TREE and BAWN_FLAKE_INPUTS name them, or none."""
    tree, folder = os.environ.get("NIXPKGS_TREE"), os.environ.get("BAWN_FLAKE_INPUTS")
    if not tree or not folder:
        return {}
    return {"nixpkgs": Path(tree), **{name: Path(folder) / at for name, at in FOLDERS.items()}}


def lock_to_named_inputs(program: str, source: Path) -> None:
    """Put the named inputs into the store, and let flake.lock of `source` name those that are not what it says.

    Raises:
        InputsMissingError: one of them isn't there.
    """
    lock = json.loads((source / "flake.lock").read_text(encoding="utf-8"))["nodes"]
    options: list[str] = []
    for name, path in named_inputs().items():
        added = nix(program, "store", "add", "--name", "source", str(path), timeout_s=600)
        if added.returncode != 0:
            raise InputsMissingError(f"{name}: {added.stderr.strip()}")
        told = nix(program, "path-info", "--json", added.stdout.strip(), timeout_s=60)
        ((at, info),) = json.loads(told.stdout).items()
        if info["narHash"] != lock[name]["locked"]["narHash"]:
            # A path in the store is not copied again, which for nixpkgs would take minutes.
            options += ["--override-input", name, f"path:{at}"]
    if options:
        locked = nix(program, "flake", "lock", *options, f"path:{source}", timeout_s=300)
        assert locked.returncode == 0, locked.stderr


def fetched_inputs(program: str, source: Path) -> dict[str, Path]:
    """The inputs that flake.lock of `source` names, from the store or from the network.

    Raises:
        InputsMissingError: they can't be had.
    """
    done = nix(*(program, "flake", "archive", "--json", "--no-update-lock-file", f"path:{source}"), timeout_s=1800)
    if done.returncode != 0:
        # Nix wraps the reason in what it was doing.
        raise InputsMissingError(done.stderr.strip().rpartition("error: ")[2].removesuffix(")"))
    inputs = json.loads(done.stdout)["inputs"]
    return {name: store() / inputs[name]["path"].removeprefix("/") for name in ("nixpkgs", *FOLDERS)}


def linked(inputs: dict[str, Path]) -> dict[str, str]:
    """Those inputs as the variables that name them, with links where BAWN_FLAKE_INPUTS must be one folder."""
    folder = cache_folder() / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, at in FOLDERS.items():
        fresh = folder / f".{at}.{os.getpid()}"
        fresh.symlink_to(inputs[name])
        fresh.replace(folder / at)
    return {"NIXPKGS_TREE": str(inputs["nixpkgs"]), "BAWN_FLAKE_INPUTS": str(folder)}
