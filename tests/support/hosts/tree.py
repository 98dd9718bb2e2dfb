"""The file system that hosts start from: Debian's systemd, and the packages that uv.lock names; made once."""

import atexit
import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.nix import ROOT

SUITE: Final = "trixie"
PYTHON: Final = "3.13"
"""Python of the suite, and of the flake."""
_DEBIAN: Final = (
    *("systemd", "systemd-sysv", "systemd-resolved", "libpam-systemd", "dbus", "dbus-user-session"),
    *("iproute2", "iptables", "nftables", "kmod", "procps", "iputils-ping"),
    *("bash", "ca-certificates", "curl", "gettext-base", "git", "jq", "openssl"),
    *("python3", "libgomp1", "libstdc++6"),
)
_PROGRAMS: Final = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}


def missing() -> str | None:
    """Why hosts can't boot on this machine, or None."""
    if os.geteuid() != 0:
        return "hosts in systemd-nspawn need root"
    absent = sorted(package for program, package in _PROGRAMS.items() if shutil.which(program) is None)
    if absent:
        return f"hosts in systemd-nspawn need packages that are missing: apt-get install {' '.join(absent)}"
    return None


def debian() -> Path:
    """A Debian tree with systemd, which nobody may write to."""
    name = hashlib.sha256("\n".join((SUITE, platform.machine(), *_DEBIAN)).encode()).hexdigest()[:16]

    def make(part: Path) -> None:
        _run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(_DEBIAN)}", SUITE, part, *_mirror())

    return _cached(f"debian-{name}", make)


def packages() -> Path:
    """A virtual environment's site-packages for the tree's Python, with the versions of uv.lock."""
    python = ROOT / "python"
    lock = hashlib.sha256((python / "uv.lock").read_bytes() + (python / "pyproject.toml").read_bytes()).hexdigest()
    uv = shutil.which("uv") or str(ROOT / ".bawn" / "uv" / "uv")

    def make(part: Path) -> None:
        pinned = part.with_suffix(".txt")
        what = ("--extra", "all", "--no-dev", "--group", "demo", "--no-emit-project")
        _run(uv, "export", "--quiet", "--frozen", *what, "--output-file", pinned, cwd=python)
        # What was compiled for the project's own environment is taken from uv's cache.
        for_tree = ("--python-version", PYTHON, "--python-platform", f"{platform.machine()}-manylinux_2_36")
        own = ("--python", python / ".venv" / "bin" / "python")
        _run(
            *(uv, "pip", "install", "--quiet", "--no-deps", *own, *for_tree),
            *("--target", part, "--requirements", pinned),
            cwd=python,
        )
        pinned.unlink()
        _compile(part)

    return _cached(f"compiled-packages-{lock[:16]}", make)


@functools.cache
def sources() -> Path:
    """The project's own sources as they are now, for the tree's Python. They stay until this process ends."""
    folder = tempfile.mkdtemp(prefix="bawn-sources-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = Path(folder) / "src"
    shutil.copytree(ROOT / "python" / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    _compile(copy)
    return copy


def _compile(folder: Path) -> None:
    """Compile for the tree's Python, as on NixOS: else each start of a program in a host would do it again."""
    inside = (
        'mount --bind "$1" "$2/mnt" && mount --bind /dev "$2/dev" && exec chroot "$2" python3 -m compileall -qq -j 0'
    )
    # Some packages have templates that are called .py and are no Python.
    _run("unshare", "--mount", "sh", "-c", f"({inside} /mnt) || true", "sh", folder, debian())
    assert any(folder.glob("**/*.pyc"))


def cache() -> Path:
    """Folder of what tests make once; outside the repository."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bawn"


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    target = cache() / name
    with _locked(cache() / f"{name}.lock"):
        if not target.exists():
            part = target.with_suffix(".part")
            if part.exists():
                shutil.rmtree(part)
            make(part)
            part.rename(target)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _mirror() -> list[str]:
    """The mirror that this machine's own Debian packages come from; nothing: mmdebstrap's default."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.split()[:1]


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
