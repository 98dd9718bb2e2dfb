"""Packing of a bundle: equal folders give equal bytes, and nothing is in it that the index would not have."""

import gzip
import io
import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer.bundles.manifest import FILES, FORMAT, MOST_BYTES, MOST_FILES, NAME, Manifest, Note
from bawn.indexer.contents import SkipReason, skip_by_content
from bawn.indexer.cutting import Cutter
from bawn.indexer.fingerprints import Fingerprints
from bawn.indexer.reading import FAILURES, Text, read_text, reason_of
from bawn.indexer.registry import Repository
from bawn.indexer.report import Report
from bawn.indexer.secrets.masking import VERSION
from bawn.indexer.sources import Source, SourceFile, open_source

_LONGEST: Final = 255
"""Bytes of a name on the disks that it may be unpacked to."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class _Piece(msgspec.Struct, frozen=True):
    """Where the content of a file is among those that were read."""

    start: int
    size: int


def pack(repository: Repository, file: Path) -> tuple[Manifest, Report]:
    """Write the bundle of `repository` to `file`, whole or not at all; what is in it, and what is not.

    Raises:
        SettingsError: the repository can't be read, or is larger than a bundle may be, or `file` can't be written.
    """
    fresh = file.with_name(f".{file.name}.new")
    try:
        with tempfile.TemporaryFile(dir=file.parent) as spool, open_source(repository, Fingerprints(None, 0)) as source:
            packing = _Packing(repository, spool)
            packing.read(source, {file.absolute(), fresh.absolute()})
            manifest = packing.manifest(source)
            with os.fdopen(os.open(fresh, _NEW, 0o600), "wb") as written:
                packing.write(manifest, written)
        fresh.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: can't be written: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
    return manifest, packing.report


class _Packing:
    """What was read of a repository; contents are in a file, since they may be more than the memory holds."""

    def __init__(self, repository: Repository, spool: IO[bytes]) -> None:
        self.report = Report(repository.name, VERSION)
        self._repository = repository
        self._spool = spool
        self._pieces: dict[str, _Piece] = {}
        self._notes: dict[str, Note] = {}
        self._bytes = 0

    def read(self, source: Source, without: set[Path]) -> None:
        """Read all that is indexed of `source`; the files `without` are none of it, wherever they lie."""
        root, selection = self._repository.path, self._repository.selection
        with Cutter() as cutter:
            for file in source.files():
                if not selection.takes(file.path) or root / file.path in without or file.path in self._pieces:
                    continue
                reason = file.skipped or self._add(source, file, cutter)
                if reason is not None:
                    self.report.add_left_out(file.path, reason)

    def _add(self, source: Source, file: SourceFile, cutter: Cutter) -> SkipReason | None:
        """Why the file stays out; None: it is in."""
        try:
            content = source.read(file)
            read = read_text(file, content, cutter, to_read=self._repository.index != "code")
        except FAILURES as failure:
            return reason_of(failure)
        if isinstance(read, str):
            return read
        if read.is_extracted or read.findings:
            content = read.text.encode()
        # Marks are longer than some secrets.
        if not read.is_extracted and (reason := skip_by_content(content, read.language)):
            return reason
        if any(len(part.encode()) > _LONGEST for part in file.path.split("/")):
            return "unreadable"
        self._put(file, read, content)
        return None

    def _put(self, file: SourceFile, read: Text, content: bytes) -> None:
        self._pieces[file.path] = _Piece(self._bytes, len(content))
        self._bytes += len(content)
        if len(self._pieces) > MOST_FILES or self._bytes > MOST_BYTES:
            raise SettingsError(
                f"{self._repository.folder}: is more than the {MOST_FILES:,} files or {MOST_BYTES >> 20} MiB that a"
                " bundle may have: make one of each part, with --project."
            )
        self._spool.write(content)
        extracted = read.cut_as if read.is_extracted else None
        if extracted or file.declared:
            self._notes[file.path] = msgspec.convert({"extracted": extracted, "declared": file.declared}, Note)
        self.report.add_masked(file.path, read.findings)

    def manifest(self, source: Source) -> Manifest:
        """What the bundle says of itself."""
        masked: Counter[str] = Counter()
        for rules in self.report.masked.values():
            masked.update({rule: places.count for rule, places in rules.items()})
        repository = self._repository
        return Manifest(
            FORMAT,
            VERSION,
            repository.name,
            len(self._pieces),
            self._bytes,
            index=repository.index,
            branch=source.branch,
            commit=source.commit,
            project=repository.project,
            include=repository.include,
            exclude=repository.exclude,
            left_out=dict(sorted(Counter[str](self.report.left_out.values()).items())),
            masked=dict(sorted(masked.items())),
            notes=dict(sorted(self._notes.items())),
        )

    def write(self, manifest: Manifest, written: IO[bytes]) -> None:
        """Write the archive: the manifest, then the files by path, with no time, owner or mode of this machine."""
        with _archive(written) as archive:
            told = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            archive.addfile(_entry(NAME, len(told)), io.BytesIO(told))
            for path, piece in sorted(self._pieces.items()):
                self._spool.seek(piece.start)
                archive.addfile(_entry(f"{FILES}/{path}", piece.size), self._spool)


@contextmanager
def _archive(written: IO[bytes]) -> Generator[tarfile.TarFile]:
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=written, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive,
    ):
        yield archive


def _entry(path: str, size: int) -> tarfile.TarInfo:
    """Its defaults are no owner, no time and the mode 0644."""
    entry = tarfile.TarInfo(path)
    entry.size = size
    return entry
