"""An index of a directory, opened for reading, whatever its backend."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from bawn.contracts.errors import SettingsError, Unavailable
from bawn.contracts.search import Index
from bawn.search.backend import NoIndex, SearchBackend
from bawn.search.embedded import EmbeddedIndex
from bawn.search.placement import MeilisearchSettings, embedding_settings, meilisearch_settings
from bawn.service.settings import read_secret

# An HTTP client takes a fifth of a second to import, which a run over the embedded index does without.
if TYPE_CHECKING:
    from bawn.search.meilisearch.reading import MeilisearchIndex
    from bawn.search.meilisearch.server import Server
    from bawn.search.vectors.nearness import Embedder

_SEARCH_S: Final = 10.0


def meilisearch_server(settings: MeilisearchSettings, *, read_s: float) -> "Server":
    """The server that has the index; `read_s` is how long it may take to answer.

    Raises:
        SettingsError: the key can't be read.
    """
    from bawn.search.meilisearch.server import Server, connect

    return Server(connect(settings.url, read_secret(Path(settings.key_file)), read_s=read_s))


class IndexPlace:
    """One index of a directory, whatever its backend; opened when it is asked for, and anew when it is another."""

    def __init__(self, index_dir: Path, index: Index) -> None:
        self._index_dir = index_dir
        self._index: Index = index
        self._lock = Lock()
        self._embedded: EmbeddedIndex | None = None
        self._remote: tuple[MeilisearchSettings, MeilisearchIndex] | None = None
        self._embedder: Embedder | None = None

    def exists(self) -> bool:
        """Whether it was made, or is a server's, which alone knows."""
        try:
            return self._folder.exists() or meilisearch_settings(self._index_dir, self._index) is not None
        except SettingsError:
            return True

    def backend(self) -> SearchBackend:
        """The index, opened for reading.

        Raises:
            Unavailable: there is no index yet, or it can't be opened; the message says how to mend it.
        """
        with self._lock:
            try:
                settings = meilisearch_settings(self._index_dir, self._index)
                return self._opened_embedded() if settings is None else self._opened_remote(settings)
            except SettingsError as error:
                raise Unavailable(str(error)) from error

    def embedder(self) -> "Embedder | None":
        """The embedding model of the directory; None where it has none.

        Raises:
            Unavailable: its settings can't work; the message says how to mend that.
        """
        with self._lock:
            try:
                settings = embedding_settings(self._index_dir)
                if settings is None:
                    self._embedder = None
                elif self._embedder is None or self._embedder.settings != settings:
                    from bawn.search.vectors.nearness import Embedder

                    self._embedder = Embedder(self._index_dir, self._index, settings)
            except SettingsError as error:
                raise Unavailable(str(error)) from error
            return self._embedder

    @property
    def _folder(self) -> Path:
        return self._index_dir / self._index

    def _opened_embedded(self) -> EmbeddedIndex:
        try:
            # A rebuilt index is another folder under the same name.
            if self._embedded is None or not self._embedded.is_at(self._folder):
                self._embedded = EmbeddedIndex(self._folder)
        except OSError as error:
            raise NoIndex from error
        return self._embedded

    def _opened_remote(self, settings: MeilisearchSettings) -> "MeilisearchIndex":
        if self._remote is None or self._remote[0] != settings:
            from bawn.search.meilisearch.reading import MeilisearchIndex

            server = meilisearch_server(settings, read_s=_SEARCH_S)
            self._remote = (settings, MeilisearchIndex(server, settings.index or self._index))
        return self._remote[1]
