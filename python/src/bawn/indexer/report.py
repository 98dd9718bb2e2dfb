"""What a repository has that is not in its index, or masked there, and why: by rule and path, never by value.

A report is written before the index is committed, so that nothing is in the index whose masking it doesn't know.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec

from bawn.indexer.contents import SkipReason
from bawn.indexer.secrets.masking import VERSION, Finding, mask_path

_FOLDER: Final = "reports"
_MAX_LINES: Final = 50


class Places(msgspec.Struct, frozen=True):
    """Where a rule masked something in a file."""

    count: int
    lines: list[int]
    """From 1; the first `_MAX_LINES` of them."""


class Report(msgspec.Struct):
    """The report of one repository, or of a branch that is indexed as one."""

    repo: str
    version: int = 0
    """Of the rules by which every file was looked at; 0 where that was not done to the end."""
    left_out: dict[str, SkipReason] = {}
    """Reason by path, which ends with `/` where it is a whole folder."""
    masked: dict[str, dict[str, Places]] = {}
    """What was masked by path and rule."""

    @property
    def is_finished(self) -> bool:
        """Whether it tells of every file what the rules of today find."""
        return self.version == VERSION

    def add_left_out(self, path: str, reason: SkipReason) -> None:
        """Note a file or folder that stays out."""
        self.left_out[mask_path(path)] = reason

    def add_masked(self, path: str, findings: Iterable[Finding]) -> None:
        """Note what was masked in a file."""
        lines: dict[str, list[int]] = {}
        for finding in findings:
            lines.setdefault(finding.rule, []).append(finding.line)
        if lines:
            self.masked[path] = {rule: Places(len(all_), all_[:_MAX_LINES]) for rule, all_ in lines.items()}


def _file(index_dir: Path, repo: str) -> Path:
    return index_dir / _FOLDER / f"{repo.replace('/', '%')}.json"


def _read(file: Path) -> Report | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def read_reports(index_dir: Path) -> list[Report]:
    """The reports of all repositories, by name; a damaged one is left out, and the next run writes it anew."""
    found = [report for file in (index_dir / _FOLDER).glob("*.json") if (report := _read(file))]
    return sorted(found, key=lambda report: report.repo)


def delete_report(index_dir: Path, repo: str) -> None:
    """Forget what was reported of a repository."""
    _file(index_dir, repo).unlink(missing_ok=True)


def delete_other_reports(index_dir: Path, repos: Collection[str]) -> None:
    """Forget what was reported of all repositories but `repos` and their branches, which are named `repo/branch`."""
    for report in read_reports(index_dir):
        if not any(report.repo == repo or report.repo.startswith(f"{repo}/") for repo in repos):
            delete_report(index_dir, report.repo)


class ReportWriter:
    """The report of a run over one repository, beside the one that the run before it wrote."""

    def __init__(self, index_dir: Path, repo: str) -> None:
        self._file = _file(index_dir, repo)
        self._old = _read(self._file) or Report(repo)
        self._new = Report(repo)

    @property
    def is_current(self) -> bool:
        """Whether the old report can be relied on; if not, every file is looked at again, changed or not."""
        return self._old.is_finished

    def left_out(self, path: str, reason: SkipReason) -> None:
        """Note a file or folder that is not in the index."""
        self._new.add_left_out(path, reason)

    def masked(self, path: str, findings: Iterable[Finding]) -> None:
        """Note what was masked in a file."""
        self._new.add_masked(path, findings)

    def unchanged(self, path: str) -> None:
        """Keep what the old report says of a file that the index has as it is."""
        if path in self._old.masked:
            self._new.masked[path] = self._old.masked[path]

    def save(self, *, finished: bool) -> None:
        """Write what is known by now; before the end also what the old report says of files that have not come yet."""
        report = self._new
        if finished:
            report.version = VERSION
        else:
            old = self._old
            report = Report(report.repo, old.version, old.left_out | report.left_out, old.masked | report.masked)
        written = msgspec.json.encode(report)
        try:
            if self._file.read_bytes() == written:
                return
        except OSError:
            pass
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(written)
        fresh.replace(self._file)
