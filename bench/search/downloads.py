"""Published packages, from the registries that this machine uses, kept unpacked beside the project."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bench.peers.environment import KEPT

FOLDER: Final = KEPT / "bench" / "packages"
_MOST_BYTES: Final = 200_000_000
_WITHIN_S: Final = 120

Registry = Literal["pypi", "npm"]


class NotThere(Exception):
    """A package can't be had; the text says why."""


class Package(msgspec.Struct, frozen=True):
    """A published archive of sources."""

    registry: Registry
    name: str
    version: str
    sha256: str

    @property
    def label(self) -> str:
        """For people, and as the name of a folder."""
        return f"{self.name.rpartition('/')[2]}-{self.version}"


def unpacked(package: Package) -> Path:
    """The folder of a package, which is fetched first where it is missing.

    Raises:
        NotThere: the registry does not have it, or has another archive under its name.
    """
    place = FOLDER / f"{package.registry}-{package.label}-{package.sha256[:12]}"
    if place.exists():
        return place
    print(f"Fetching {package.label} from {package.registry} …", file=sys.stderr, flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        archive, files = Path(scratch) / "archive", Path(scratch) / "files"
        archive.write_bytes(_fetch(package))
        try:
            with tarfile.open(archive) as opened:
                opened.extractall(files, members=(one for one in opened if one.isfile()), filter="data")
        except (tarfile.TarError, OSError) as error:
            raise NotThere(f"{package.label} can't be unpacked: {error}") from error
        shutil.move(files, place)
    return place


def _fetch(package: Package) -> bytes:
    url = _pypi_url(package) if package.registry == "pypi" else _npm_url(package)
    content = _get(url, {})
    if hashlib.sha256(content).hexdigest() != package.sha256:
        raise NotThere(f"{package.label} from {url} is not the archive that was pinned: its hash differs")
    return content


def _pypi_url(package: Package) -> str:
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/{package.name}/"
    try:
        files: list[dict[str, Any]] = json.loads(
            _get(page, {"Accept": "application/vnd.pypi.simple.v1+json"}),
        )["files"]
        ends = (f"-{package.version}.tar.gz", f"-{package.version}.zip")
        return urllib.parse.urljoin(page, next(file["url"] for file in files if file["filename"].endswith(ends)))
    except (ValueError, KeyError, StopIteration) as error:
        raise NotThere(f"{index} does not offer an archive of {package.label}") from error


def _npm_url(package: Package) -> str:
    plain = package.name.rpartition("/")[2]
    return f"{_npm_registry()}/{package.name}/-/{plain}-{package.version}.tgz"


def _npm_registry() -> str:
    told = os.environ.get("NPM_CONFIG_REGISTRY") or os.environ.get("npm_config_registry")  # noqa: SIM112 - npm's own
    npm = shutil.which("npm")
    if not told and npm:
        asked = subprocess.run(
            [npm, "config", "get", "registry"], capture_output=True, text=True, check=False, timeout=_WITHIN_S
        )
        told = asked.stdout.strip() if asked.returncode == 0 else ""
    return (told if told and told.startswith("http") else "https://registry.npmjs.org").rstrip("/")


def _get(url: str, headers: dict[str, str]) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_WITHIN_S) as answer:
            content: bytes = answer.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise NotThere(f"{url} can't be had: {error}") from error
    if len(content) > _MOST_BYTES:
        raise NotThere(f"{url} has more than {_MOST_BYTES / 1e6:g} MB")
    return content
