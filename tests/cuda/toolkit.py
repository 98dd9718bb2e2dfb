"""A CUDA toolkit in a folder, from the packages that NVIDIA publishes for Python: no installer, no root, no GPU."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from cuda.recipe import ROOT, TOOLKIT


class Toolkit(msgspec.Struct, frozen=True):
    """Where its parts are."""

    root: Path
    """What nvcc calls the toolkit: bin, include, lib64."""
    programs: Path
    """cmake and ninja."""
    packages: Path
    """Python's packages, on which `programs` stand."""

    @property
    def libraries(self) -> Path:
        """libcudart and libcublas."""
        return self.root / "lib"

    def environment(self) -> dict[str, str]:
        """In which its programs run."""
        path = [str(self.programs), str(self.root / "bin"), os.environ["PATH"]]
        return {
            **os.environ,
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(self.packages),
        }


def cache_folder() -> Path:
    """What is kept from run to run: toolkit and builds, some 3 GB."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "bawn" / "cuda"


def uv() -> str:
    """The uv that python/bootstrap.py found or brought."""
    own = ROOT / ".bawn" / "uv" / "uv"
    found = shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        raise FileNotFoundError("uv is missing: `make setup` brings it.")
    return found


def set_up_toolkit() -> Toolkit:
    """Install the packages of toolkit.txt, hashes checked, into the cache, and link the names that CMake looks for.

    Raises:
        subprocess.CalledProcessError: uv failed; it has said why on stderr.
    """
    packages = cache_folder() / f"toolkit-{hashlib.sha256(TOOLKIT.read_bytes()).hexdigest()[:16]}"
    root = packages / "nvidia" / "cu13"
    toolkit = Toolkit(root=root, programs=packages / "bin", packages=packages)
    done = packages / ".complete"
    if done.exists():
        return toolkit
    install = [
        uv(),
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--python",
        sys.executable,
    ]
    subprocess.run([*install, "--target", str(packages), "-r", str(TOOLKIT)], check=True)
    for library in root.glob("lib/*.so.*"):
        plain = library.with_name(library.name.split(".so.")[0] + ".so")
        if not plain.exists():
            plain.symlink_to(library.name)
    if not (root / "lib64").exists():
        (root / "lib64").symlink_to("lib")
    done.touch()
    return toolkit
