"""Which files are lock files, and who reads them."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final, Protocol

from bawn.indexer.libraries.library import Library, WrongLock
from bawn.indexer.libraries.locks import cargo, go, node, python

MAX_BYTES: Final = 8 << 20
"""Of a lock file that is read."""
_NOT_IN: Final = frozenset(
    {"node_modules", "vendor", "vendored", "_vendor", "third_party", "third-party", "fixtures", "testdata"}
)


class _Reader(Protocol):
    def __call__(self, content: str, manifest: str | None, /, *, every: bool) -> list[Library]: ...


_READERS: Final[dict[str, tuple[_Reader, str]]] = {
    "uv.lock": (python.uv_lock, ""),
    "poetry.lock": (python.poetry_lock, "pyproject.toml"),
    "pdm.lock": (python.poetry_lock, "pyproject.toml"),
    "Pipfile.lock": (python.pipfile_lock, "Pipfile"),
    "package-lock.json": (node.package_lock, ""),
    "npm-shrinkwrap.json": (node.package_lock, ""),
    "pnpm-lock.yaml": (node.pnpm_lock, ""),
    "yarn.lock": (node.yarn_lock, "package.json"),
    "Cargo.lock": (cargo.cargo_lock, ""),
    "go.mod": (go.go_mod, "go.sum"),
}
"""By name of the file, with the file beside it that says more, if there is one."""

ReadText = Callable[[str], str | None]
"""The text of a file of the repository; None where there is none."""


def is_lock_file(path: str) -> bool:
    """Whether the file at `path` names libraries, and none of somebody else's project."""
    pure = PurePosixPath(path)
    return _reader(pure) is not None and not _NOT_IN & set(pure.parts[:-1])


def read_lock(path: str, read: ReadText, *, every: bool) -> list[Library]:
    """The libraries that a lock file names and a registry has: those that the project needs itself, or every one.

    Raises:
        WrongLock: see there.
    """
    found = _reader(PurePosixPath(path))
    if found is None:
        raise WrongLock("is no lock file")
    reader, beside = found
    try:
        content = read(path)
        if content is None:
            raise WrongLock("can't be read")
        manifest = read(str(PurePosixPath(path).with_name(beside))) if beside else None
        libraries = reader(content, manifest, every=every)
    except OSError as error:
        raise WrongLock(f"can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise WrongLock(f"is damaged: {error}") from error
    return [library for library in libraries if library.is_sound]


def _reader(path: PurePosixPath) -> tuple[_Reader, str] | None:
    if path.suffix == ".txt" and (path.name.startswith("requirements") or path.parent.name == "requirements"):
        return python.requirements, ""
    return _READERS.get(path.name)
