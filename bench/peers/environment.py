"""The peers' own Python environments, one a bench: nothing of them becomes a dependency of the product."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
KEPT: Final = ROOT / ".bawn"
PEERS: Final = ROOT / "bench" / "peers"
_INSTALL_S: Final = 600


def requirements(bench: str) -> Path:
    """What the peers of a bench are installed from."""
    return ROOT / "bench" / f"requirements-{bench}.txt"


def pinned(bench: str, package: str) -> str:
    """The version of a peer."""
    lines = requirements(bench).read_text(encoding="utf-8").splitlines()
    return next(line.split()[0].partition("==")[2] for line in lines if line.startswith(f"{package}=="))


def peers_python(bench: str) -> Path | str:
    """The interpreter of a bench's peers, which are installed first where they are missing; or why there is none."""
    venv = KEPT / f"bench-venv-{bench}"
    python = venv / "bin" / "python"
    mark = venv / ".complete"
    wanted = hashlib.sha256(requirements(bench).read_bytes()).hexdigest()
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return python
    own = KEPT / "uv" / "uv"
    uv = shutil.which("uv") or (str(own) if own.exists() else None)
    if uv is None:
        return "uv is missing: `make setup` brings it"
    print("Installing the peers …", file=sys.stderr, flush=True)
    make = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)]
    source = str(requirements(bench))
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", source]
    try:
        for command in (make, install):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"the peers could not be installed within {_INSTALL_S} s"
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        return f"the peers could not be installed: {said[-1] if said else error}"
    mark.write_text(wanted, encoding="utf-8")
    return python


def native_server() -> str:
    """A `llama-server` to be measured in place of the wheel's: the environment's `LLAMA_SERVER`; else empty."""
    return os.environ.get("LLAMA_SERVER", "")
