"""A corpus: the files of one package that are searched, the same for every engine."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from bench.search.downloads import Package, unpacked
from bench.search.kinds import is_text

_MOST_BYTES: Final = 1_000_000
_LOCKS: Final = frozenset({"package-lock.json", "npm-shrinkwrap.json"})
_NOT_WALKED: Final = frozenset({"build", "dist", "node_modules", "venv"})
"""Folders that some engine passes over: nobody gets them."""
_MADE: Final = re.compile(r"\bgenerated (?:by|from)\b|@generated\b|\bdo not edit\b", re.IGNORECASE)


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A package that questions are asked of."""

    package: Package
    only: tuple[str, ...] = ("",)
    """Beginnings of paths: what else is in the archive was built from it."""
    held_out: bool = False
    """Whoever tunes the ranking looks at the other projects only."""


class Corpus(msgspec.Struct, frozen=True):
    """The text of each file by its path."""

    name: str
    held_out: bool
    files: Mapping[str, str]


def read_corpus(project: Project) -> Corpus:
    """The corpus of a project.

    Raises:
        NotThere: its package can't be had.
    """
    files = read_files(unpacked(project.package), project.only)
    return Corpus(project.package.name.rpartition("/")[2], project.held_out, files)


def read_files(folder: Path, only: Iterable[str] = ("",)) -> dict[str, str]:
    """The files of an unpacked archive that are text and small enough, without the archive's own folder."""
    begins = tuple(only)
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        path = PurePosixPath(*file.relative_to(folder).parts[1:])
        if not _counts(path) or not str(path).startswith(begins) or not file.is_file():
            continue
        if file.stat().st_size > _MOST_BYTES:
            continue
        try:
            text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
        if "\0" not in text and "\r" not in text and not _made(text):
            found[str(path)] = text
    return found


def _counts(path: PurePosixPath) -> bool:
    folders = set(path.parts[:-1])
    hidden = any(part.startswith(".") for part in path.parts)
    return is_text(str(path)) and path.name not in _LOCKS and not hidden and not folders & _NOT_WALKED


def _made(text: str) -> bool:
    """Whether a program wrote it: it says so, or its lines are longer than a person's."""
    return bool(_MADE.search(text[:300])) or (len(text) > 4_000 and len(text) / (text.count("\n") + 1) > 400)


def lay(files: Mapping[str, str], folder: Path) -> None:
    """Write files below a folder."""
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="\n")
