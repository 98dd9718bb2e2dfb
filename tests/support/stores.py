"""An index of either backend, written and read as the indexer and the gateway do it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bawn.indexer.destination import open_destination
from bawn.search.backend import IndexPublisher, SearchBackend
from bawn.search.documents import IndexDocument, field_words
from bawn.search.meilisearch.keys import register, scoped_keys
from bawn.search.meilisearch.server import Server, connect
from bawn.search.opening import IndexPlace
from bawn.search.placement import MeilisearchSettings, use_meilisearch
from support.meilisearch import MASTER_KEY, Meilisearch


class Store:
    """One index: `index_dir` is the indexer's directory, `search_dir` the gateway's."""

    def __init__(self, index_dir: Path, search_dir: Path) -> None:
        self.index_dir = index_dir
        self.search_dir = search_dir

    def writing(self, *, rebuild: bool = False) -> AbstractContextManager[IndexPublisher]:
        """The index opened for writing; tests need no lock."""
        return open_destination(self.index_dir, "code", rebuild=rebuild)

    def reader(self) -> SearchBackend:
        """The index opened for reading."""
        return IndexPlace(self.search_dir, "code").backend()

    def publish(self, repo: str, files: dict[str, Sequence[IndexDocument]]) -> None:
        """One run that replaces `files`."""
        with self.writing() as publisher:
            known = publisher.files(repo)
            for path, documents in files.items():
                publisher.replace(repo, path, known.get(path), documents)
            publisher.commit()


def embedded(folder: Path) -> Store:
    """An embedded index below `folder`."""
    (folder / "index").mkdir(parents=True)
    return Store(folder / "index", folder / "index")


def of_meilisearch(server: Meilisearch, folder: Path, name: str) -> Store:
    """An index of a server, with its two keys, each in a directory of its own."""
    register(Server(connect(server.url, MASTER_KEY)), name)
    directories = []
    for key in scoped_keys(name):
        directory = folder / key.purpose
        directory.mkdir(parents=True)
        file = directory / "key"
        file.write_text(key.text(MASTER_KEY), encoding="utf-8")
        use_meilisearch(directory, "code", MeilisearchSettings(url=server.url, key_file=str(file), index=name))
        directories.append(directory)
    return Store(*directories)


def chunk(
    repo: str,
    path: str,
    text: str,
    *,
    blob: str = "blob-1",
    symbols: Sequence[str] = (),
    start_line: int = 1,
    language: str = "python",
) -> IndexDocument:
    """A chunk of a file."""
    return IndexDocument(
        repo=repo,
        branch="main",
        path=path,
        blob=blob,
        commit="c0ffee",
        kind="source",
        language=language,
        start_line=start_line,
        end_line=start_line + text.count("\n"),
        context="",
        symbols=list(symbols),
        text=text,
        words=field_words(path, "", list(symbols), text),
    )
