"""Weights into a folder, from their address or from a folder that they were carried to; there is never half a file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import httpx
import msgspec

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.downloading import Origin, download
from bawn.model_server.weights.hashing import BLOCK, sha256_of, told
from bawn.model_server.weights.links import link
from bawn.model_server.weights.part import Part, hold, sync_folder
from bawn.model_server.weights.progress import Progress

Way = Literal["already there", "fetched", "linked", "copied"]


class Wanted(msgspec.Struct, frozen=True):
    """Weights that are pinned."""

    file: str
    """Its name, without a folder."""
    sha256: str
    """In hexadecimal, small letters."""
    url: str | None = None


class Brought(msgspec.Struct, frozen=True):
    """Weights that are there and right."""

    path: Path
    size: int
    """Bytes."""
    way: Way
    """How they came."""


def fetch(wanted: Wanted, folder: Path, client: httpx.Client, progress: Progress) -> Brought:
    """Bring `wanted` from its address into `folder`. An earlier run's part is gone on with.

    Raises:
        SettingsError: see `download`; or the hash is wrong, the disk is full, another process is at it, or another
            file has the name.
    """
    if wanted.url is None:
        raise SettingsError(f"{wanted.file}: nothing says where it is fetched from.")
    url = link(wanted.url)

    def fill(part: Part) -> Way:
        try:
            if not part.resume(progress):
                download(client, url, part, progress)
            part.finish()
        finally:
            if part.size and part.path.exists():
                progress.note(f"{part.path} is kept, and the same command goes on from there")
        return "fetched"

    return _bring(wanted, folder, progress, str(url), fill)


def take(wanted: Wanted, carried: Path, folder: Path, progress: Progress) -> Brought:
    """Bring `wanted` from `carried`, a folder of files that were fetched elsewhere, into `folder`. Asks no network.

    It is looked for by its name, also in a folder that is named by its hash, as bawn-weights.service keeps them. On one
    disk it is linked, else copied.

    Raises:
        SettingsError: it isn't there, is another file, or can't be written.
    """
    places = [carried / wanted.file, carried / wanted.sha256 / wanted.file]
    with told(carried):
        source = next((place.resolve() for place in places if place.is_file()), None)
    if source is None:
        told_url = f" from {wanted.url}" if wanted.url else ""
        raise SettingsError(
            f"--from: {carried} has no {wanted.file}; carry it there{told_url}. SHA-256: {wanted.sha256}."
        )

    def fill(part: Part) -> Way:
        if _linked(source, part.target, wanted.sha256, progress):
            return "linked"
        part.restart()
        with told(source), source.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            part.expect(Origin(total))
            progress.stage("copying", 0, total)
            while data := file.read(BLOCK):
                part.write(data)
                progress.at(part.size)
        part.finish()
        return "copied"

    return _bring(wanted, folder, progress, str(source), fill)


def _bring(wanted: Wanted, folder: Path, progress: Progress, source: str, fill: Callable[[Part], Way]) -> Brought:
    target = folder / wanted.file
    if _is_there(target, wanted.sha256, progress):
        return Brought(target, target.stat().st_size, "already there")
    with hold(target, wanted.sha256, source) as part:
        # Another process may have finished it while this one looked.
        way: Way = "already there" if _is_there(target, wanted.sha256, progress) else fill(part)
    return Brought(target, target.stat().st_size, way)


def _is_there(target: Path, sha256: str, progress: Progress) -> bool:
    with told(target):
        if not target.exists():
            return False
        if not target.is_file():
            raise SettingsError(f"{target}: is there already, and is no file.")
        with target.open("rb") as file:
            found = sha256_of(file, progress)
    if found != sha256:
        raise SettingsError(
            f"{target}: is there already with the SHA-256 {found}, and not {sha256}. "
            "Move it away, or name another folder."
        )
    return True


def _linked(source: Path, target: Path, sha256: str, progress: Progress) -> bool:
    """Whether `source` has the right hash and is now `target`, too; False where it can only be copied."""
    with told(source):
        if source.stat().st_dev != target.parent.stat().st_dev:
            return False
        with source.open("rb") as file:
            found = sha256_of(file, progress)
    if found != sha256:
        raise SettingsError(f"--from: {source} has the SHA-256 {found}, and not {sha256}: it is another file.")
    try:
        os.link(source, target)
    except OSError:  # another owner's file, or a file system without links
        return False
    with told(target.parent):
        sync_folder(target.parent)
    return True
