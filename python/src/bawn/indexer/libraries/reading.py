"""From archives to repositories that can be indexed: documentation is taken out of what was fetched."""

from collections.abc import Sequence
from pathlib import Path

from bawn.indexer.cutting import Cutter
from bawn.indexer.libraries.shelf import Shelf
from bawn.indexer.registry import Repository


def read_archives(index_dir: Path, repositories: Sequence[Repository], cutter: Cutter) -> dict[str, str]:
    """Take the documentation out of the archives that wait; what went wrong, by title.

    The caller holds the index's lock.

    Raises:
        OSError: the disk is full, or can't be written.
    """
    shelf = Shelf(index_dir)
    shelf.tidy(repositories)
    wrong: dict[str, str] = {}
    try:
        for library in shelf.wanted(repositories).values():
            archive = shelf.archive(library)
            if not archive.exists():
                continue
            unpacked = cutter.unpack(archive, library)
            if unpacked.wrong:
                wrong[library.title] = unpacked.wrong
                shelf.reject(library, unpacked.wrong)
            else:
                shelf.put_documentation(library, unpacked.files)
    finally:
        shelf.save()
    return wrong


def documented(index_dir: Path, repositories: Sequence[Repository]) -> list[Repository]:
    """The libraries that `repositories` name and whose documentation is here, each as a repository of its own."""
    shelf = Shelf(index_dir)
    return [
        Repository(title, str(shelf.folder(library)), index="libraries", is_library=True)
        for title, library in shelf.wanted(repositories).items()
        if shelf.folder(library).is_dir()
    ]
