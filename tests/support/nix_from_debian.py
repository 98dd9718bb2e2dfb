"""Nix for a machine without it: Debian's package of a newer suite, unpacked with its own C library into a cache folder.

Nothing is installed: no daemon, no user, no folder under /nix. `python -m support.nix_from_debian` says where it is.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SUITE = "trixie"
"""Bookworm's Nix 2.8 is too old for the nixpkgs that flake.lock pins; trixie has 2.26."""

_PROGRAMS = ("nix", "nix-build", "nix-env", "nix-hash", "nix-instantiate", "nix-store")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 300.0


class NotPossibleError(Exception):
    """Nix can't be set up on this machine; says why."""


def cache_folder() -> Path:
    """Where it is kept from run to run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bawn"


def set_up() -> Path:
    """The folder with Nix's programs; it is unpacked at the first call, which takes some 20 s.

    Raises:
        NotPossibleError: this is no Debian, or its mirror doesn't answer.
    """
    prefix = cache_folder() / f"nix-{SUITE}"
    if not (prefix / "bin" / "nix").exists():
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=prefix.parent, prefix="nix-") as folder:
            fresh = Path(folder) / "prefix"
            _unpack(_downloaded(Path(folder), _mirror()), fresh)
            _write_wrappers(fresh, prefix)
            try:
                fresh.rename(prefix)
            except OSError:  # another run was faster
                if not (prefix / "bin" / "nix").exists():
                    raise
    return prefix / "bin"


def _mirror() -> str:
    """The mirror that this machine's own Debian comes from."""
    if shutil.which("apt-get") is None or not _KEYRING.exists():
        raise NotPossibleError("this is no Debian, from whose packages it could be unpacked")
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    sources = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    for line in sources.splitlines():
        uri, release, component = line.split()
        if (release, component) == (codename, "main"):
            return uri
    raise NotPossibleError(f"apt has no source for {codename or 'this release'} main")


def _downloaded(work: Path, mirror: str) -> list[Path]:
    """The package and all that it needs, down to the C library: apt is told that nothing is installed."""
    lists, archives, status, sources = work / "lists", work / "archives", work / "status", work / "sources.list"
    (lists / "partial").mkdir(parents=True)
    (archives / "partial").mkdir(parents=True)
    status.touch()
    sources.write_text(f"deb [signed-by={_KEYRING}] {mirror} {SUITE} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": lists,
        "Dir::State::status": status,
        "Dir::Cache::archives": archives,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        # The folders are this user's, and apt's own user could not write to them.
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    _run("apt-get", "-qq", *options, "update")
    _run("apt-get", "-qq", *options, "install", "--yes", "--download-only", "nix-bin")
    return sorted(archives.glob("*.deb"))


def _unpack(packages: list[Path], prefix: Path) -> None:
    prefix.mkdir()
    for package in packages:
        _run("dpkg-deb", "--extract", str(package), str(prefix))


def _write_wrappers(fresh: Path, prefix: Path) -> None:
    """Programs in `fresh` that run from `prefix`, where it will be: by its own loader, with its own libraries only."""
    libraries = f"usr/lib/{platform.machine()}-linux-gnu"
    loader = next((fresh / libraries).glob("ld-linux-*.so.*")).relative_to(fresh)
    (fresh / "bin").mkdir(exist_ok=True)
    for name in _PROGRAMS:
        wrapper = fresh / "bin" / name
        wrapper.write_text(
            f"#!/bin/sh\nexec '{prefix}/{loader}' --argv0 {name}"
            f" --library-path '{prefix}/{libraries}' '{prefix}/usr/bin/nix' \"$@\"\n",
            encoding="utf-8",
        )
        wrapper.chmod(0o755)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired as error:
        raise NotPossibleError(f"{command[0]} took longer than {_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise NotPossibleError(f"{command[0]}: {lines[-1]}")
    return done.stdout


if __name__ == "__main__":
    print(set_up())
