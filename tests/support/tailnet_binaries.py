"""Real Headscale and Tailscale for tests, built once from pinned Go modules."""

import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

MODULES: Final = Path(__file__).resolve().parents[1] / "tailnet" / "binaries"
BINARIES: Final = ("headscale", "tailscale", "tailscaled")
UNIT: Final = "tailscaled.service"
"""Tailscale's own unit, to which nixpkgs' one only adds."""

_BUILD_TIMEOUT_S = 1800


def why_none() -> str | None:
    """Why this machine can have no binaries; None: it can."""
    if _built().is_dir() or shutil.which("go"):
        return None
    wanted = max(_go_version(MODULES / name / "go.mod") for name in ("headscale", "tailscale"))
    return f"go is not on PATH: install Go {wanted} or later to build the real Headscale and Tailscale"


@functools.cache
def tailnet_binaries() -> Path:
    """Folder of headscale, tailscale, tailscaled and tailscaled.service; or a skip with the reason.

    The first call on a machine builds them (6 minutes on 2 cores) into the user's cache folder, under the hash of what
    pins them; a second builder waits for the first.

    Raises:
        RuntimeError: Go could not fetch or build them; the text ends with what it said.
    """
    reason = why_none()
    if reason is not None:
        pytest.skip(reason)
    folder = _built()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            # What an interrupted builder left is built over; only what is whole gets the name that is looked for.
            fresh = folder.with_suffix(".new")
            fresh.mkdir(exist_ok=True)
            _build(fresh)
            fresh.rename(folder)
    return folder


def _built() -> Path:
    pins = hashlib.sha256()
    for path in sorted(MODULES.glob("*/go.*")):
        pins.update(path.read_bytes())
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "bawn" / "tailnet" / pins.hexdigest()[:16]


def _build(folder: Path) -> None:
    stripped = ("build", "-trimpath", "-o", f"{folder}/", "-ldflags")
    _go("headscale", *stripped, "-s -w", "github.com/juanfont/headscale/cmd/headscale")
    module = json.loads(_go("tailscale", "mod", "download", "-json", "tailscale.com"))
    version = str(module["Version"]).removeprefix("v")
    # Stamped as distributions do: tailscaled can't know its version where it is not the main module.
    stamps = " ".join(f"-X tailscale.com/version.{stamp}={version}" for stamp in ("longStamp", "shortStamp"))
    programs = ("tailscale.com/cmd/tailscale", "tailscale.com/cmd/tailscaled")
    _go("tailscale", *stripped, f"-s -w {stamps}", *programs)
    shutil.copyfile(Path(module["Dir"]) / "cmd" / "tailscaled" / UNIT, folder / UNIT)


def _go(module: str, *arguments: str) -> str:
    # An older Go fetches the one that the module asks for, as a module; distributions turn that off.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    done = subprocess.run(
        ["go", *arguments],
        cwd=MODULES / module,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"go {' '.join(arguments)} in {MODULES / module}:\n{done.stderr[-4000:]}")
    return done.stdout


def _go_version(module: Path) -> str:
    found = re.search(r"^go (\S+)$", module.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{module} has no go directive"
    return found[1]
