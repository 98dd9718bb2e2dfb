"""Bundles that were uploaded: checked, unpacked beneath the index directory, and in the place of the one before.

`uploads/app/` has the manifest, and in `files/` what is indexed.
"""

import os
import pwd
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import Index
from bawn.indexer.bundles.manifest import (
    FILES,
    MOST_BYTES,
    MOST_FILES,
    MOST_MANIFEST,
    NAME,
    Manifest,
    WrongBundle,
    decode_manifest,
)
from bawn.indexer.contents import max_bytes
from bawn.indexer.libraries.archives import Archive, Bounds, Member, WrongArchive
from bawn.indexer.memory import bounded
from bawn.indexer.registry import UPLOADS, Registry, Repository

_HEADERS: Final = 4_096
"""Bytes that the archive has of a file beside its content: two headers, the whole path, and what fills blocks up."""
_BOUNDS: Final = Bounds(MOST_FILES + 1, MOST_BYTES + MOST_FILES * _HEADERS + MOST_MANIFEST, is_strict=True)
_MEMORY: Final = 256_000_000
"""Bytes that the reading of an archive may take."""
_LONGEST: Final = 4_000
"""Bytes of a path, most of the 4,096 that the system takes."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FRESH: Final = ".new"
_OLD: Final = ".old"


def upload(file: Path, index_dir: Path, name: str | None, index: Index | None) -> tuple[Repository, Manifest]:
    """Take the bundle in `file` in, and register it; the caller holds the index's lock.

    Args:
        file: what `bawn index bundle` wrote, which is not trusted.
        index_dir: index directory.
        name: in searches; None: what the bundle says.
        index: that it goes into; None: as it is registered, or as the bundle says.

    Raises:
        SettingsError: it is no such file, the name can't be one or is taken, the index directory is another user's, or
            the disk is full; an earlier upload stays as it is.
    """
    if (owner := index_dir.stat().st_uid) != os.geteuid():
        raise SettingsError(
            f"{index_dir}: belongs to user {_name_of(owner)}, who could not read what others unpack:"
            " run the command as that user."
        )
    uploads = index_dir.resolve() / UPLOADS
    settle(index_dir)
    fresh = uploads / _FRESH
    registry = Registry(index_dir)
    try:
        manifest = _checked(file, fresh)
        name = name or manifest.name
        folder, known = registry.upload_folder(name)
        _take_place(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    kept = ("index", "project", "include", "exclude")
    how = {"index": manifest.index} if known is None else {key: getattr(known, key) for key in kept}
    if index is not None:
        how["index"] = index
    return registry.add(folder, name, **how), manifest


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def settle(index_dir: Path) -> None:
    """Put back what a process that died has left between two names, and delete what it had not unpacked to its end."""
    uploads = index_dir / UPLOADS
    for old in uploads.glob(f".*{_OLD}"):
        place = uploads / old.name.removeprefix(".").removesuffix(_OLD)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(place)
    shutil.rmtree(uploads / _FRESH, ignore_errors=True)


def delete_unused(index_dir: Path, repositories: Iterable[Repository]) -> None:
    """Delete the uploads that no repository is read from any more."""
    used = {one.path.parent for one in repositories if one.is_upload}
    for folder in (index_dir.resolve() / UPLOADS).glob("*"):
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)


def _take_place(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}{_OLD}")
    try:
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        with suppress(OSError):
            old.rename(folder)
        raise SettingsError(f"{folder}: can't be written: {error.strerror}.") from error
    shutil.rmtree(old, ignore_errors=True)


def _checked(file: Path, folder: Path) -> Manifest:
    """Unpack the bundle into `folder`, which is made; its manifest."""
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error.strerror}.") from error
    try:
        with bounded(_MEMORY):
            return _unpacked(file, folder)
    except (WrongArchive, WrongBundle) as error:
        reason = str(error)
    except MemoryError:
        reason = "takes too much memory"
    except OSError as error:
        raise SettingsError(f"{folder}: can't be written: {error.strerror}. Nothing was taken in.") from error
    raise SettingsError(f"{file}: {reason}. Nothing was taken in: make the bundle anew with `bawn index bundle`.")


def _unpacked(file: Path, folder: Path) -> Manifest:
    archive = Archive(file, _BOUNDS)
    if archive.is_zip:
        raise WrongArchive("is a .zip file and no bundle")
    members = archive.members()
    manifest = _manifest(members)
    folder.mkdir(mode=0o700, parents=True)
    (folder / FILES).mkdir(mode=0o700)
    files = size = 0
    for member in members:
        files, size = files + 1, size + member.size
        if files > manifest.files or size > manifest.bytes:
            raise WrongBundle("has more in it than its manifest says")
        _write(member, folder)
    if (files, size) != (manifest.files, manifest.bytes):
        raise WrongBundle("has less in it than its manifest says")
    (folder / NAME).write_bytes(msgspec.json.encode(manifest))
    return manifest


def _manifest(members: Iterator[Member]) -> Manifest:
    first = next(members, None)
    if first is None or first.path != NAME:
        raise WrongBundle(f"is no bundle: it doesn't begin with {NAME}")
    if first.size > MOST_MANIFEST:
        raise WrongBundle(f"has a manifest of more than {MOST_MANIFEST >> 20} MiB")
    return decode_manifest(first.read(MOST_MANIFEST))


def _write(member: Member, folder: Path) -> None:
    top, _, path = member.path.partition("/")
    if top != FILES or not _is_plain(path):
        raise WrongBundle(f"has {member.path[:80]!r}, which no bundle has")
    if member.size > max_bytes(path):
        raise WrongBundle(f"has {path[:80]!r}, which is larger than what is indexed")
    place = folder / FILES / path
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In a folder that this process made, of which nothing but folders and files is.
        with os.fdopen(os.open(place, _NEW, 0o600), "wb") as written:
            written.write(member.read(member.size))
    except (FileExistsError, NotADirectoryError) as error:
        raise WrongBundle(f"has {path[:80]!r} twice") from error


def _is_plain(path: str) -> bool:
    """Whether it can be the path of a file that was indexed; that of a file of git's can't."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return False
    parts = raw.split(b"/")
    return len(raw) <= _LONGEST and all(
        part not in (b"", b".", b"..") and part.lower() != b".git" and len(part) <= 255 for part in parts
    )
