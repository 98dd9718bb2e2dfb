"""llama-cpp-python's source package, as uv.lock names it: llama.cpp, with templates and vocabularies of models."""

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import tomllib
import urllib.request
from pathlib import Path
from typing import Final

import msgspec

PYTHON: Final = Path(__file__).resolve().parents[2] / "python"
_PACKAGE: Final = "llama-cpp-python"


class Sdist(msgspec.Struct, frozen=True):
    """A source package as uv.lock names it."""

    version: str
    file: str
    sha256: str


class SdistError(Exception):
    """The sdist can't be had, or is not the one that is locked."""


def locked_sdist() -> Sdist:
    """The one of this checkout."""
    lock = tomllib.loads((PYTHON / "uv.lock").read_text(encoding="utf-8"))
    package = next(package for package in lock["package"] if package["name"] == _PACKAGE)
    sdist = package["sdist"]
    return Sdist(
        version=package["version"],
        file=sdist["url"].rsplit("/", 1)[-1],
        sha256=sdist["hash"].removeprefix("sha256:"),
    )


def unpacked(sdist: Sdist | None = None) -> Path:
    """The sdist's folder in the user's cache; the first call on a machine brings it (some 75 MB).

    Raises:
        SdistError: it can't be had.
    """
    sdist = sdist or locked_sdist()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "bawn" / "llama-cpp-python" / sdist.sha256[:16]
    source = folder / sdist.file.removesuffix(".tar.gz")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not source.exists():
            archive, fresh = folder / sdist.file, folder / "unpacking"
            archive.write_bytes(_download(sdist))
            shutil.rmtree(fresh, ignore_errors=True)
            with tarfile.open(archive) as tar:
                tar.extractall(fresh, filter="data")
            (fresh / source.name).rename(source)
            archive.unlink()
    return source


def _download(sdist: Sdist) -> bytes:
    """The sdist from the package index that this machine is set up for, checked against the lock."""
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/{_PACKAGE}/"
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(page, headers=accept), timeout=60) as answer:
        files = {file["filename"]: file["url"] for file in json.load(answer)["files"]}
    if sdist.file not in files:
        raise SdistError(f"{page} does not offer {sdist.file}.")
    with urllib.request.urlopen(files[sdist.file], timeout=600) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != sdist.sha256:
        raise SdistError(f"{sdist.file} is not the one in uv.lock: its hash differs.")
    return content
