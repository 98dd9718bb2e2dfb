"""The files of a plain folder that no git repository describes, less what its `.gitignore` files leave out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pathspec

_NEVER: Final = frozenset(
    {b".git", b".hg", b".svn", b"__pycache__", b"node_modules", b".venv", b".tox", b".mypy_cache", b".ruff_cache"}
)
_MAX_IGNORE_FILE: Final = 1 << 20
_MAX_DEPTH: Final = 100


def _rules(folder: Path) -> pathspec.GitIgnoreSpec | None:
    file = folder / ".gitignore"
    try:
        if file.is_symlink() or file.stat().st_size > _MAX_IGNORE_FILE:
            return None
        return pathspec.GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8", errors="replace").splitlines())
    except (OSError, ValueError):
        return None


def folder_files(root: Path) -> Iterator[bytes]:
    """Paths of regular files relative to `root`, folder by folder; links are not followed, nor listed."""
    stack: list[tuple[bytes, tuple[tuple[bytes, pathspec.GitIgnoreSpec], ...]]] = [(b"", ())]
    base = os.fsencode(root)
    while stack:
        folder, specs = stack.pop()
        if folder.count(b"/") > _MAX_DEPTH:
            continue
        place = os.path.join(base, folder) if folder else base  # noqa: PTH118 names may be no UTF-8
        if own := _rules(Path(os.fsdecode(place))):
            specs = (*specs, (folder + b"/" if folder else b"", own))
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
                if not _ignored(path + b"/", specs):
                    folders.append(path)
            elif entry.is_file(follow_symlinks=False) and not _ignored(path, specs):
                yield path
        stack.extend((path, specs) for path in reversed(folders))


def _ignored(path: bytes, specs: tuple[tuple[bytes, pathspec.GitIgnoreSpec], ...]) -> bool:
    # The deepest file that says something decides, as git does it.
    for prefix, spec in reversed(specs):
        verdict = spec.check_file(os.fsdecode(path.removeprefix(prefix))).include
        if verdict is not None:
            return verdict
    return False
