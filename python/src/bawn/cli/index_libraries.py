"""What `bawn index` says of the libraries that lock files name, and does for them; `bawn index registry`."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bawn.cli.index_common import INDEX_OPTION, progress_bar
from bawn.contracts.errors import SettingsError
from bawn.indexer.indexing import Progress
from bawn.indexer.libraries.library import ECOSYSTEMS, Ecosystem, Library
from bawn.indexer.libraries.registries import (
    NONE,
    PUBLIC,
    PackageRegistry,
    check_registry,
    read_registries,
    use_registry,
)
from bawn.indexer.libraries.shelf import Shelf
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Repository
from bawn.service.settings import state_dir

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from bawn.indexer.libraries.fetching import Report

_FILE = click.Path(dir_okay=False, path_type=Path)


class Missing(msgspec.Struct):
    """A library without documentation here."""

    library: str
    reason: str


class LibrariesState(msgspec.Struct):
    """What became of the libraries that the lock files of one repository name."""

    lock_files: list[str] = []
    unread: dict[str, str] = {}
    """Lock files that can't be read, and why."""
    named: int = 0
    left_out: int = 0
    """Named beyond the most that are taken; not counted in `named`."""
    documented: int = 0
    waiting: int = 0
    """Fetched, and not looked into yet."""
    silent: list[str] = []
    """Those that ship no documentation."""
    missing: list[Missing] = []


def fetch(
    index_dir: Path, repositories: Sequence[Repository], names: Sequence[str], within_s: float = math.inf
) -> bool:
    """Fetch what the lock files of `repositories` name, or of those of `names`, and say so; whether all went well."""
    from bawn.indexer.libraries.fetching import fetch_libraries  # with an HTTP client, which runs do without

    chosen = [one for one in repositories if one.libraries and (one.name in names or not names)]
    with progress_bar() as bar:
        try:
            brought = fetch_libraries(index_dir, repositories, names, _shown(bar), within_s)
        except OSError as error:
            raise SettingsError(f"{index_dir}: can't be written: {error.strerror or error}.") from error
    shelf = Shelf(index_dir)
    for repository in chosen:
        if repository.name in brought.unread:
            click.echo(f"{repository.name}: libraries: {brought.unread[repository.name]}", err=True)
            continue
        state = state_of(shelf, repository)
        click.echo(summary(repository.name, state))
        for path, why in state.unread.items():
            click.echo(f"{repository.name}: {path} {why}", err=True)
    if chosen and brought.fetched:
        click.echo(f"libraries: {brought.fetched:,} fetched")
    for ecosystem, why in brought.unreachable.items():
        click.echo(f"libraries: {ecosystem}: {why}; the next `bawn index fetch` asks again.", err=True)
    return not brought.unread and not brought.unreachable


def _shown(bar: "Bar | None") -> "Report":
    if bar is None:
        return lambda _library, _at, _of: None
    task = bar.add_task("libraries", total=None, state="")

    def report(library: Library, at: int, of: int) -> None:
        bar.update(task, state=f"{library.title}  {at:,} of {of:,}")

    return report


def state_of(shelf: Shelf, repository: Repository) -> LibrariesState:
    """What became of the libraries of a repository."""
    project = shelf.project(repository.name)
    if project is None:
        return LibrariesState()
    state = LibrariesState(project.lock_files, project.unread, len(project.libraries), left_out=project.left_out)
    for library in project.libraries:
        folder = shelf.folder(library)
        if folder.is_dir():
            if any(folder.iterdir()):
                state.documented += 1
            else:
                state.silent.append(library.title)
        elif shelf.archive(library).exists():
            state.waiting += 1
        else:
            missing = shelf.why_missing(library)
            state.missing.append(Missing(library.title, missing.reason if missing else "was not asked for yet"))
    return state


def summary(name: str, state: LibrariesState) -> str:
    """One line on the libraries of a repository."""
    if not state.lock_files and not state.unread:
        return f"{name}: no lock file names libraries"
    parts = [f"{state.documented:,} with documentation"] if state.documented else []
    parts += [f"{state.waiting:,} fetched"] if state.waiting else []
    parts += [f"{len(state.silent):,} without documentation"] if state.silent else []
    parts += [f"{len(state.missing):,} missing (bawn index report {name})"] if state.missing else []
    parts += [f"{state.left_out:,} left out"] if state.left_out else []
    libraries = "1 library" if state.named == 1 else f"{state.named:,} libraries"
    return f"{name}: {libraries} named by {', '.join(state.lock_files)}: {', '.join(parts) or 'none'}"


def together(progresses: Iterable[Progress]) -> Progress:
    """The runs over several libraries as one."""
    whole = Progress("")
    count = 0
    for count, one in enumerate(progresses, 1):  # noqa: B007 the number of them is wanted
        whole.indexed += one.indexed
        whole.removed += one.removed
        whole.unchanged += one.unchanged
        whole.chunks += one.chunks
        whole.bytes += one.bytes
        whole.seconds += one.seconds
        whole.skipped.update(one.skipped)
        whole.masked.update(one.masked)
    whole.repo = "1 library" if count == 1 else f"{count:,} libraries"
    return whole


@click.command()
@click.argument("ecosystem", required=False, type=click.Choice(ECOSYSTEMS))
@click.argument("place", required=False)
@click.option("--private", multiple=True, metavar="GLOB", help="Names that it is never asked for.")
@click.option("--file-host", "file_hosts", multiple=True, metavar="HOST", help="Host that it may lead to for files.")
@click.option("--token-file", type=_FILE, help="Token, or user:password.")
@click.option("--ca-file", type=_FILE, help="Certificate of the authority that it is signed by.")
@INDEX_OPTION
def registry(
    ecosystem: Ecosystem | None,
    place: str | None,
    private: tuple[str, ...],
    file_hosts: tuple[str, ...],
    token_file: Path | None,
    ca_file: Path | None,
    index_dir: Path | None,
) -> None:
    """Say where packages of ECOSYSTEM are fetched from: PLACE is https://…, a folder of archives, `public` or `none`.

    Without PLACE, what is asked now is shown.
    """
    index_dir = index_dir or state_dir() / "index"
    if place is None:
        if private or file_hosts or token_file or ca_file:
            raise SettingsError("An option needs the registry that it is of: name PLACE, which may be `public`.")
        for name, one in read_registries(index_dir).items():
            if ecosystem in (None, name):
                click.echo(_line(name, one))
        return
    assert ecosystem is not None  # noqa: S101 click fills the first argument first
    if place not in ("public", NONE) and "://" not in place:
        folder = Path(place).expanduser().resolve()
        if not folder.is_dir():
            raise SettingsError(f"{place}: is no folder, no https:// address, `public` or `{NONE}`.")
        place = str(folder)
    wanted = PackageRegistry(
        place=PUBLIC[ecosystem] if place == "public" else place,
        private=list(private),
        file_hosts=list(file_hosts),
        token_file=str(token_file.absolute()) if token_file else None,
        ca_file=str(ca_file.absolute()) if ca_file else None,
    )
    check_registry(wanted, origin=ecosystem)
    with writer_lock(index_dir):
        use_registry(index_dir, ecosystem, wanted)
    click.echo(_line(ecosystem, wanted))


def _line(ecosystem: Ecosystem, one: PackageRegistry) -> str:
    private = f", but not for {', '.join(one.private)}" if one.private else ""
    return f"{ecosystem}: {one.place}{private}"
