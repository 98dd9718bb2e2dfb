"""The files of a plain folder that no git repository describes, less what its ignore files leave out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bawn.indexer.folder_rules import lines_of
from bawn.indexer.ignoring import Chain, Ignoring, is_ignored, read_ignore_file
from bawn.indexer.patterns import Pattern

_NEVER: Final = frozenset(
    {b".git", b".hg", b".svn", b"__pycache__", b"node_modules", b".venv", b".tox", b".mypy_cache", b".ruff_cache"}
)
_MAX_IGNORE_FILE: Final = 1 << 20
_MAX_DEPTH: Final = 100


def _rules(folder: Path) -> list[Pattern] | None:
    file = folder / ".gitignore"
    try:
        if file.is_symlink() or file.stat().st_size > _MAX_IGNORE_FILE:
            return None
        return read_ignore_file(lines_of(file.read_bytes()))
    except OSError:
        return None


def every_file(root: Path) -> Iterator[bytes]:
    """Paths of all regular files relative to `root`, in order; links are not followed, nor listed."""
    for folder, folders, names in os.walk(os.fsencode(root)):
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), os.fsencode(root))  # noqa: PTH118 names may be no UTF-8


def folder_files(root: Path, ignoring: Ignoring) -> Iterator[bytes]:
    """Paths of regular files relative to `root`, folder by folder; links are not followed, nor listed.

    What `.gitignore` leaves out is not there. A folder that `ignoring` leaves out is one path, with `/` at its end.
    """
    stack: list[tuple[bytes, Chain]] = [(b"", ())]
    base = os.fsencode(root)
    while stack:
        folder, specs = stack.pop()
        if folder.count(b"/") > _MAX_DEPTH:
            continue
        place = os.path.join(base, folder) if folder else base  # noqa: PTH118 names may be no UTF-8
        if own := _rules(Path(os.fsdecode(place))):
            specs = (*specs, (len(folder) + 1 if folder else 0, own))
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        folders: list[bytes] = []
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            if entry.name in _NEVER or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                if is_ignored(path + b"/", specs):
                    continue
                if ignoring.folder_left_out(path):
                    yield path + b"/"
                else:
                    folders.append(path)
            elif entry.is_file(follow_symlinks=False) and not is_ignored(path, specs):
                yield path
        stack.extend((path, specs) for path in reversed(folders))
