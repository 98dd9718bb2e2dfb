"""The search tools that assistants and the command line call, over one index directory."""

from pathlib import Path
from threading import Lock
from typing import Final

from bawn.contracts.errors import BawnError, InvalidRequest, NotFound, SettingsError, Unavailable
from bawn.contracts.search import Chunk, FileSlice, SearchResult
from bawn.search.backend import Scope, SearchBackend
from bawn.search.documents import IndexDocument
from bawn.search.embedded import EmbeddedIndex
from bawn.search.globs import path_pattern
from bawn.search.query import read_query
from bawn.search.ranking import rank
from bawn.search.reading import read_slice
from bawn.search.rendering import render_chunks

__all__ = ["CodeSearch", "render_chunks"]

MAX_QUERY: Final = 4_000
MAX_RESULTS: Final = 50
MAX_CHUNK_TEXT: Final = 6_000
"""Characters of one chunk in a result; only a file with very long lines has more."""

CODE_INDEX: Final = "code"
"""Folder of the index of private code within the index directory."""

_ALIASES: Final = {
    "c++": "cpp", "golang": "go", "js": "javascript", "jsx": "javascript", "md": "markdown", "py": "python",
    "python3": "python", "rs": "rust", "ts": "typescript",
}  # fmt: skip


class CodeSearch:
    """Search over one index directory. Methods block for some milliseconds, and may be called from several threads.

    Nothing is opened before the first call, and an index that is made later is found then.
    """

    def __init__(self, index_dir: Path) -> None:
        self._directory = index_dir / CODE_INDEX
        self._lock = Lock()
        self._opened: EmbeddedIndex | None = None

    def _backend(self) -> SearchBackend:
        with self._lock:
            try:
                # A rebuilt index is another folder under the same name.
                if self._opened is None or not self._opened.is_at(self._directory):
                    self._opened = EmbeddedIndex(self._directory)
            except OSError as error:
                raise Unavailable(
                    "There is no search index yet. Make one with `bawn index add PATH` and `bawn index run`."
                ) from error
            except SettingsError as error:
                raise Unavailable(str(error)) from error
            return self._opened

    def ready(self) -> bool:
        """Whether the index can be searched now."""
        try:
            return bool(self._backend().repos())
        except BawnError:
            return False

    def repos(self) -> list[str]:
        """Names of the indexed repositories, sorted.

        Raises:
            Unavailable: there is no index, or one of another format.
        """
        return self._backend().repos()

    def search_code(
        self,
        query: str,
        repo: str | None = None,
        path: str | None = None,
        language: str | None = None,
        limit: int = 8,
    ) -> SearchResult:
        """The chunks that answer `query` (a name, a path, or words) best, best first.

        `path` is a folder, a file or a glob; `limit` is from 1 to `MAX_RESULTS`.

        Raises:
            InvalidRequest: an argument can't be; the message names it.
            NotFound: no such repository is indexed.
            Unavailable: there is no index, or one of another format.
        """
        if not 1 <= limit <= MAX_RESULTS:
            raise InvalidRequest(f"`limit` must be from 1 to {MAX_RESULTS}.", param="limit")
        if len(query) > MAX_QUERY:
            raise InvalidRequest(f"The query is longer than {MAX_QUERY} characters.", param="query")
        asked = read_query(query)
        if not asked.words:
            raise InvalidRequest("The query has no word to search for.", param="query")
        backend = self._backend()
        scope = Scope(_known_repo(backend, repo), path or None, _known_language(backend, language))
        if scope.path is not None:
            path_pattern(scope.path)
        documents = backend.candidates(asked.words, scope)
        ranked = rank(asked, documents, backend.statistics(asked.words), limit)
        return SearchResult(chunks=[_chunk(r.document, r.score) for r in ranked])

    def read_file(self, repo: str, path: str, start_line: int = 1, end_line: int | None = None) -> FileSlice:
        """Lines of an indexed file; see `read_slice` for bounds and errors.

        Raises:
            InvalidRequest: the path or the range can't be.
            NotFound: the repository or the file is not in the index.
            Unavailable: there is no index, or one of another format.
        """
        return read_slice(self._backend(), repo, path, start_line, end_line)


def _known_repo(backend: SearchBackend, repo: str | None) -> str | None:
    if not repo:
        return None
    known = backend.repos()
    if repo not in known:
        raise NotFound(f"No repository `{repo}` is indexed. Indexed: {', '.join(known) or 'none'}.", param="repo")
    return repo


def _known_language(backend: SearchBackend, language: str | None) -> str | None:
    if not language:
        return None
    name = _ALIASES.get(language.lower(), language.lower())
    known = backend.languages()
    if name not in known:
        raise InvalidRequest(
            f"No indexed file is of the language `{language}`. Indexed: {', '.join(known) or 'none'}.", param="language"
        )
    return name


def _chunk(document: IndexDocument, score: float) -> Chunk:
    return Chunk(
        repo=document.repo,
        path=document.path,
        start_line=document.start_line,
        end_line=document.end_line,
        language=document.language,
        text=document.text[:MAX_CHUNK_TEXT],
        score=round(score, 3),
        symbols=document.symbols,
        commit=document.commit,
    )
