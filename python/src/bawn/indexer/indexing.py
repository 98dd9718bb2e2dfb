"""One run of the indexer: what changed in the repositories becomes what changes in the index.

The index itself says which blob of which file it has, so a run that died anywhere is simply continued by the next.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bawn.indexer.contents import SkipReason, kind_of
from bawn.indexer.cutting import Cutter
from bawn.indexer.fingerprints import Fingerprints
from bawn.indexer.reading import FAILURES, read_text, reason_of
from bawn.indexer.registry import Repository
from bawn.indexer.report import ReportWriter
from bawn.indexer.secrets.masking import VERSION, Finding
from bawn.indexer.sources import Source, SourceFile, open_source
from bawn.search.backend import IndexPublisher
from bawn.search.documents import FORMAT, IndexDocument, field_words

_COMMIT_BYTES: Final = 20_000_000
_COMMIT_S: Final = 30.0
"""A large first run becomes searchable in parts, and loses at most one when it dies."""


class Progress(msgspec.Struct):
    """How far a run of one repository is; changed in place."""

    repo: str
    seen: int = 0
    indexed: int = 0
    removed: int = 0
    unchanged: int = 0
    chunks: int = 0
    bytes: int = 0
    """Bytes of source that were cut and published."""
    skipped: Counter[str] = msgspec.field(default_factory=Counter[str])
    """Files that were left out, by reason."""
    masked: Counter[str] = msgspec.field(default_factory=Counter[str])
    """Places that were masked in what was published, by rule."""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Published source in megabytes a second."""
        return self.bytes / 1e6 / self.seconds if self.seconds else 0.0


Report = Callable[[Progress], None]


def fingerprints_file(index_dir: Path, name: str) -> Path:
    """Where the fingerprints of a repository are."""
    return index_dir / "fingerprints" / f"{name.replace('/', '%')}.msgpack"


def index_repository(
    repository: Repository,
    publisher: IndexPublisher,
    cutter: Cutter,
    index_dir: Path,
    report: Report = lambda _: None,
) -> Progress:
    """Bring the index up to date with one repository; `report` is called after every file.

    A file that can't be read or cut is counted by its reason and stops nothing.

    Raises:
        SettingsError: the repository itself can't be read; the index then keeps what it has.
    """
    progress = Progress(repository.name)
    started = last_commit = time.monotonic()
    committed_bytes = 0
    fingerprints = Fingerprints(fingerprints_file(index_dir, repository.name), FORMAT * 1_000 + VERSION)
    written = ReportWriter(index_dir, repository.name)
    selection = repository.selection
    with open_source(repository, fingerprints) as source:
        gone = publisher.files(repository.name)
        for file in source.files():
            if not selection.takes(file.path):
                continue
            progress.seen += 1
            old = gone.get(file.path)
            if file.skipped is not None:
                progress.skipped[file.skipped] += 1
                written.left_out(file.path, file.skipped)
            elif old == file.version and written.is_current:
                gone.pop(file.path)
                progress.unchanged += 1
                source.learn(file, None)
                written.unchanged(file.path)
            elif _publish(repository, source, file, old, publisher, cutter, progress, written):
                gone.pop(file.path, None)
            progress.seconds = time.monotonic() - started
            report(progress)
            if progress.bytes - committed_bytes > _COMMIT_BYTES or time.monotonic() - last_commit > _COMMIT_S:
                written.save(finished=False)
                publisher.commit()
                committed_bytes, last_commit = progress.bytes, time.monotonic()
        # Last, and with the end of what replaces them: a file that moved is never missing in between.
        for path, blob in gone.items():
            publisher.remove(repository.name, path, blob)
            progress.removed += 1
        if progress.indexed or progress.removed:
            written.save(finished=False)
            publisher.commit()
        written.save(finished=True)
    progress.seconds = time.monotonic() - started
    report(progress)
    return progress


def _publish(
    repository: Repository,
    source: Source,
    file: SourceFile,
    old: str | None,
    publisher: IndexPublisher,
    cutter: Cutter,
    progress: Progress,
    written: ReportWriter,
) -> bool:
    """Publish one file; False where it is left out."""
    reason: SkipReason | None
    try:
        content = source.read(file)
        documents, reason, findings = _documents(repository, source, file, content, cutter)
    except FAILURES as failure:
        reason = reason_of(failure)
    else:
        source.learn(file, reason)
        if reason is None:
            publisher.replace(repository.name, file.path, old, documents)
            progress.indexed += 1
            progress.chunks += len(documents)
            progress.bytes += len(content)
            progress.masked.update(finding.rule for finding in findings)
            written.masked(file.path, findings)
            return True
    progress.skipped[reason] += 1
    written.left_out(file.path, reason)
    return False


def _documents(
    repository: Repository, source: Source, file: SourceFile, content: bytes, cutter: Cutter
) -> tuple[list[IndexDocument], SkipReason | None, list[Finding]]:
    read = read_text(file, content, cutter, to_read=repository.index != "code")
    if isinstance(read, str):
        return [], read, []
    kind = kind_of(file.path, read.cut_as, read.text, file.declared)
    documents = [
        IndexDocument(
            repo=repository.name,
            branch=source.branch,
            path=file.path,
            blob=file.version,
            commit=source.commit,
            kind=kind,
            language=read.language,
            start_line=piece.start_line,
            end_line=piece.end_line,
            context=piece.context,
            symbols=piece.symbols,
            text=piece.text,
            words=field_words(file.path, piece.context, piece.symbols, piece.text),
            references=piece.references,
        )
        for piece in cutter.cut(read.text, read.cut_as)
    ]
    return documents, None, read.findings


def drop_repository(name: str, publisher: IndexPublisher) -> int:
    """Take a repository out of the index; the number of files that it had."""
    files = publisher.files(name)
    for path, blob in files.items():
        publisher.remove(name, path, blob)
    if files:
        publisher.commit()
    return len(files)
