"""The archive of a library from its registry, or from a folder that it was carried to."""

import re
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote

import httpx
import msgspec

from bawn.indexer.libraries.downloading import Downloads, NotThere
from bawn.indexer.libraries.hashes import is_right
from bawn.indexer.libraries.library import Ecosystem, Library, pypi_name
from bawn.indexer.libraries.registries import PackageRegistry

MOST_BYTES: Final = 64_000_000
"""Of an archive."""
_MOST_PAGE: Final = 16_000_000
_JSON: Final = "application/vnd.pypi.simple.v1+json"
_ACCEPT: Final = f"{_JSON}, text/html;q=0.5"
_SUFFIXES: Final = (".tar.gz", ".zip", ".whl")
"""Of PyPI's archives; a source archive has what a wheel lacks: the folder of documentation."""


class Packages(Protocol):
    """Where the archives of one ecosystem are."""

    def bring(self, library: Library, target: Path) -> None:
        """Write the archive of `library` to `target`.

        Raises:
            NotThere: there is none, or another one than the lock file means.
            Unreachable: it may come another time.
            OSError: it can't be written.
        """
        ...


@contextmanager
def open_packages(registry: PackageRegistry, ecosystem: Ecosystem) -> Generator[Packages]:
    """The packages of a registry.

    Raises:
        SettingsError: what opens it can't be read.
    """
    if registry.folder is not None:
        yield _Carried(registry.folder)
        return
    with Downloads(registry) as downloads:
        base = registry.place.rstrip("/")
        yield _PythonIndex(base, downloads) if ecosystem == "pypi" else _Addressed(base, downloads)


class _Addressed:
    """A registry whose archives have addresses that follow from their names."""

    def __init__(self, base: str, downloads: Downloads) -> None:
        self._base = base
        self._downloads = downloads

    def bring(self, library: Library, target: Path) -> None:
        self._downloads.save(f"{self._base}/{_path(library)}", target, MOST_BYTES)
        check(target, library)


def _path(library: Library) -> str:
    name, version = library.name, library.version
    if library.ecosystem == "npm":
        return f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    if library.ecosystem == "go":
        return f"{_escaped(name)}/@v/{_escaped(version)}.zip"
    return f"{name}/{version}/download"


def _escaped(text: str) -> str:
    """As Go's proxies write names, for file systems that don't tell capitals from small letters."""
    return re.sub(r"[A-Z]", lambda found: f"!{found[0].lower()}", text)


class _Listed(msgspec.Struct, frozen=True):
    """A file as an index of PyPI's form lists it."""

    filename: str
    url: str
    hashes: dict[str, str] = {}
    size: int | None = None


class _Listing(msgspec.Struct, frozen=True):
    files: list[_Listed]


class _PythonIndex:
    """An index as PEP 503 and PEP 691 describe it."""

    def __init__(self, base: str, downloads: Downloads) -> None:
        self._base = base
        self._downloads = downloads

    def bring(self, library: Library, target: Path) -> None:
        page = f"{self._base}/{library.name}/"
        kind, content = self._downloads.page(page, _MOST_PAGE, _ACCEPT)
        listed = _of_json(content) if kind.endswith("json") else _of_html(content)
        chosen = [file for file in listed if _is_of(file, library)]
        if not chosen:
            raise NotThere(f"the registry lists no archive of {library.version} that can be taken")
        last = NotThere()
        for file in sorted(chosen, key=_worth):
            try:
                self._downloads.save(str(httpx.URL(page).join(file.url)), target, MOST_BYTES)
            except NotThere as error:
                last = error
            else:
                check(target, library)
                return
        raise last


def _of_json(content: bytes) -> list[_Listed]:
    try:
        return msgspec.json.decode(content, type=_Listing).files
    except msgspec.DecodeError as error:
        raise NotThere("the registry's list of its files is damaged") from error


def _of_html(content: bytes) -> list[_Listed]:
    page = _Page()
    page.feed(content.decode(errors="replace"))
    return page.files


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[_Listed] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href") if tag == "a" else None
        if href:
            url, _, fragment = href.partition("#")
            kind, mark, value = fragment.partition("=")
            self.files.append(_Listed(unquote(url.rpartition("/")[2]), url, {kind: value} if mark else {}))


def _is_of(file: _Listed, library: Library) -> bool:
    """Whether it is an archive of the library that the lock file means, as far as the list tells."""
    if not _is_named(file.filename, library):
        return False
    said = {f"{kind}:{value}" for kind, value in file.hashes.items()}
    kinds = {one.partition(":")[0] for one in library.hashes}
    return not kinds & file.hashes.keys() or bool(said & set(library.hashes))


def _is_named(filename: str, library: Library) -> bool:
    """`httpx-0.28.1.tar.gz` and `httpx-0.28.1-py3-none-any.whl` are of httpx 0.28.1."""
    suffix = next((suffix for suffix in _SUFFIXES if filename.endswith(suffix)), None)
    if suffix is None:
        return False
    stem = filename.removesuffix(suffix)
    if suffix == ".whl":
        name, _, rest = stem.partition("-")
        version = rest.partition("-")[0]
    else:
        name, _, version = stem.rpartition("-")
    return pypi_name(name) == library.name and _plain(version) == _plain(library.version)


def _plain(version: str) -> str:
    return re.sub(r"[-_.]", ".", version.lower())


def _worth(file: _Listed) -> tuple[int, int]:
    """Source archives first, then the smallest wheel."""
    return next(at for at, suffix in enumerate(_SUFFIXES) if file.filename.endswith(suffix)), file.size or 0


class _Carried:
    """A folder of archives, as package managers keep or download them; also one folder deeper."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bring(self, library: Library, target: Path) -> None:
        there = sorted(self._candidates(library), key=lambda path: (path.suffix == ".whl", path.name))
        for path in there:
            if path.stat().st_size <= MOST_BYTES and is_right(path, library.hashes):
                shutil.copyfile(path, target)
                return
        named = ", ".join(path.name for path in there)
        raise NotThere(
            f"{named} in {self._folder} is not what the lock file means, or larger than {MOST_BYTES // 10**6} MB"
            if there
            else f"{self._folder} has no archive of it"
        )

    def _candidates(self, library: Library) -> Iterator[Path]:
        name, version = library.name, library.version
        if library.ecosystem == "go":
            names = [_path(library)]
        elif library.ecosystem == "cargo":
            names = [f"{name}-{version}.crate"]
        else:
            # As `npm pack` writes it, and as Yarn's offline mirror does.
            plain = name.replace("/", "-")
            names = [f"{one}-{version}.tgz" for one in (plain.removeprefix("@"), plain)]
        for folder in self._folders():
            if library.ecosystem == "pypi":
                yield from (path for path in folder.iterdir() if _is_named(path.name, library) and path.is_file())
            else:
                yield from (folder / one for one in dict.fromkeys(names) if (folder / one).is_file())

    def _folders(self) -> Sequence[Path]:
        try:
            return [self._folder, *sorted(path for path in self._folder.iterdir() if path.is_dir())]
        except OSError as error:
            raise NotThere(f"{self._folder}: {error.strerror}") from error


def check(archive: Path, library: Library) -> None:
    """Look whether an archive is the one that the lock file means.

    Raises:
        NotThere: it is another.
    """
    if not is_right(archive, library.hashes):
        raise NotThere("what came is not the archive that the lock file means: its hash is another")
