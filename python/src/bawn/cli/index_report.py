"""`bawn index report`: why a file is not found, or why a mark stands where something stood."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from bawn.cli.index_common import INDEX_OPTION
from bawn.cli.index_libraries import LibrariesState, state_of, summary
from bawn.contracts.errors import SettingsError
from bawn.indexer.contents import SkipReason
from bawn.indexer.libraries.shelf import Shelf
from bawn.indexer.registry import Registry
from bawn.indexer.report import Places, Report, read_reports
from bawn.service.settings import state_dir

SHOWN: Final = 20
"""Paths of one reason or rule."""
_LINES: Final = 6
"""Line numbers of one path."""

WHY: Final[dict[SkipReason, str]] = {
    "too_large": "more than a file of text has",
    "binary": "no text",
    "minified": "made for machines: lines are too long, or the name says so",
    "lock_file": "what a package manager has locked",
    "ignored": "a .bawnignore names it",
    "key_file": "key material as a whole",
    "secret_in_path": "its path has a token in it",
    "encrypted": "can't be read without a password",
    "damaged": "is not what its name says, or broken",
    "no_text": "a document of images",
    "unreadable": "may not be read, or the disk failed",
    "vanished": "was listed, and gone when it was read",
    "not_a_file": "a link, a device or a pipe",
    "failed": "can't be cut into chunks",
}


class _LeftOut(msgspec.Struct):
    path: str
    reason: SkipReason


class _Masked(msgspec.Struct):
    path: str
    rule: str
    count: int
    lines: list[int]


class _Libraries(msgspec.Struct):
    repo: str
    state: LibrariesState


class _Shown(msgspec.Struct):
    """A report as programs read it."""

    repo: str
    finished: bool
    """Whether every file has been looked at by the rules of this version."""
    left_out: list[_LeftOut]
    masked: list[_Masked]


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help=f"Every path, and not the first {SHOWN} of each reason.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@INDEX_OPTION
def command(name: str | None, everything: bool, as_json: bool, index_dir: Path | None) -> None:
    """What the index lacks of the repository NAME, or of all, and of the libraries that they name, and what is masked.

    Secrets are told by rule, path and line. What git ignores, or the registration doesn't choose, is not told.
    """
    index_dir = index_dir or state_dir() / "index"
    reports = _chosen(index_dir, name)
    shelf = Shelf(index_dir)
    libraries = [
        _Libraries(repository.name, state_of(shelf, repository))
        for repository in Registry(index_dir).repositories()
        if repository.libraries and name in (None, repository.name)
    ]
    if as_json:
        shown = [_shown(one) for one in reports]
        click.echo(msgspec.json.encode({"index": str(index_dir), "repositories": shown, "libraries": libraries}))
        return
    limit = None if everything else SHOWN
    for report in reports:
        # A library of which there is nothing to say is one of hundreds.
        if not _is_library(report) or report.masked or report.left_out or name:
            for line in lines_of(report, limit):
                click.echo(line)
    for one in libraries:
        for line in _library_lines(one, limit):
            click.echo(line)
    if not reports and not libraries:
        click.echo("Nothing is indexed yet: run `bawn index run`.")


def _chosen(index_dir: Path, name: str | None) -> list[Report]:
    registered = [repository.name for repository in Registry(index_dir).repositories()]
    reports = read_reports(index_dir)
    if name is None:
        return reports
    # A branch of a remote repository is indexed under a name of its own.
    chosen = [report for report in reports if report.repo == name or report.repo.startswith(f"{name}/")]
    if not chosen and name not in registered:
        raise SettingsError(f"No repository `{name}` is registered. Registered: {', '.join(registered) or 'none'}.")
    return chosen


def _shown(report: Report) -> _Shown:
    return _Shown(
        report.repo,
        report.is_finished,
        [_LeftOut(path, reason) for path, reason in report.left_out.items()],
        [
            _Masked(path, rule, places.count, places.lines)
            for path, rules in report.masked.items()
            for rule, places in rules.items()
        ],
    )


def lines_of(report: Report, limit: int | None) -> Iterator[str]:
    """What people read of a report; of each reason and rule `limit` paths, or None: all."""
    masked: dict[str, dict[str, Places]] = {}
    for path, rules in report.masked.items():
        for rule, places in rules.items():
            masked.setdefault(rule, {})[path] = places
    left_out: dict[SkipReason, list[str]] = {}
    for path, reason in report.left_out.items():
        left_out.setdefault(reason, []).append(path)
    yield f"{report.repo}: {_many(len(report.masked), 'file')} masked in part, {len(report.left_out):,} left out"
    if not report.is_finished:
        yield "  Not every file has been looked at yet: `bawn index run` goes on."
    for rule, found in sorted(masked.items()):
        count = sum(places.count for places in found.values())
        yield f"  masked, {rule}: {_many(count, 'place')} in {_many(len(found), 'file')}"
        yield from _paths([f"{path}:{_numbers(places)}" for path, places in sorted(found.items())], limit)
    for reason, paths in sorted(left_out.items()):
        yield f"  left out, {reason}: {len(paths):,}, {WHY[reason]}"
        yield from _paths(sorted(paths), limit)


def _is_library(report: Report) -> bool:
    return "@" in report.repo  # which no name of a repository has


def _library_lines(libraries: _Libraries, limit: int | None) -> Iterator[str]:
    state = libraries.state
    yield summary(libraries.repo, state)
    yield from (f"  not read: {path} {why}" for path, why in state.unread.items())
    by_reason: dict[str, list[str]] = {}
    for one in state.missing:
        by_reason.setdefault(one.reason, []).append(one.library)
    for reason, titles in sorted(by_reason.items()):
        yield f"  missing: {len(titles):,}, {reason}"
        yield from _paths(titles, limit)
    if state.silent:
        yield f"  without documentation: {len(state.silent):,}"
        yield from _paths(state.silent, limit)


def _paths(paths: list[str], limit: int | None) -> Iterator[str]:
    for path in paths[:limit]:
        # A file's name may have any character in it.
        yield "    " + "".join(sign if sign.isprintable() else "?" for sign in path)
    if limit is not None and len(paths) > limit:
        yield f"    and {len(paths) - limit:,} more (--all)"


def _numbers(places: Places) -> str:
    shown = ",".join(map(str, places.lines[:_LINES]))
    return shown + (f" and {places.count - _LINES:,} more" if places.count > _LINES else "")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
