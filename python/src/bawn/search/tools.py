"""What assistants and the command line ask of one index."""

from pathlib import Path
from typing import Final

from bawn.contracts.errors import BawnError, InvalidRequest, Unavailable
from bawn.contracts.search import (
    FileSlice,
    Index,
    IndexContent,
    IndexedRepo,
    Matches,
    Outline,
    SearchResult,
    SymbolResult,
)
from bawn.search.backend import Scope, SearchBackend
from bawn.search.globs import path_pattern
from bawn.search.grep import grep
from bawn.search.opening import IndexPlace
from bawn.search.outline import outline
from bawn.search.query import Query, read_query
from bawn.search.ranking import rank
from bawn.search.reading import read_slice
from bawn.search.repositories import repository_named
from bawn.search.results import chunk_of
from bawn.search.symbols import find_symbol
from bawn.search.vectors.nearness import AskedNearness

MAX_QUERY: Final = 4_000
MAX_RESULTS: Final = 50
MAX_LINES: Final = 500
"""Lines of one answer of `grep`."""

_ALIASES: Final = {
    "c#": "csharp", "c++": "cpp", "cs": "csharp", "golang": "go", "js": "javascript", "jsx": "javascript",
    "kt": "kotlin", "md": "markdown", "proto": "protobuf", "py": "python", "python3": "python", "rb": "ruby",
    "rs": "rust", "sh": "bash", "shell": "bash", "terraform": "hcl", "tf": "hcl", "ts": "typescript", "yml": "yaml",
}  # fmt: skip


class IndexSearch:
    """Search over one index. Methods block for some milliseconds, and may be called from several threads.

    Nothing is opened before the first call, and an index that is made later is found then. All of them raise
    `Unavailable` where there is no index, or one of another format.
    """

    def __init__(self, index_dir: Path, index: Index = "code") -> None:
        self.index: Index = index
        self._place = IndexPlace(index_dir, index)

    def _backend(self) -> SearchBackend:
        return self._place.backend()

    def ready(self) -> bool:
        """Whether the index can be searched now."""
        try:
            return bool(self._backend().repos())
        except BawnError:
            return False

    def exists(self) -> bool:
        """Whether it was made."""
        return self._place.exists()

    def repos(self) -> list[str]:
        """Names of the indexed repositories, sorted."""
        return self._backend().repos()

    def content(self) -> IndexContent:
        """What the index has."""
        backend = self._backend()
        repos = [IndexedRepo(name, *backend.count(name)) for name in backend.repos()]
        return IndexContent(self.index, repos, backend.languages())

    def search(
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
        """
        _check_limit(limit, MAX_RESULTS)
        if len(query) > MAX_QUERY:
            raise InvalidRequest(f"The query is longer than {MAX_QUERY} characters.", param="query")
        asked = read_query(query)
        if not asked.words:
            raise InvalidRequest("The query has no word to search for.", param="query")
        backend = self._backend()
        scope = _scope(backend, repo, path, language)
        meaning, note = self._meaning(query, asked)
        documents = backend.candidates(asked.words, scope)
        ranked = rank(asked, documents, backend.statistics(asked.words), limit, meaning and meaning.of)
        return SearchResult([chunk_of(r.document, r.score) for r in ranked], meaning.lacking if meaning else note)

    def _meaning(self, query: str, asked: Query) -> tuple[AskedNearness | None, str]:
        """What a question means, which is being embedded while its words are looked up, or why nobody knows.

        A name means its words.
        """
        if asked.kind != "prose":
            return None, ""
        try:
            embedder = self._place.embedder()
        except Unavailable as error:
            return None, f"Ranked by words alone: {error}"
        return (None if embedder is None else embedder.begin(query)), ""

    def find_symbol(self, name: str, repo: str | None = None, path: str | None = None, limit: int = 10) -> SymbolResult:
        """See `bawn.search.symbols.find_symbol`.

        Raises:
            InvalidRequest: an argument can't be; the message names it.
            NotFound: no such repository is indexed.
        """
        _check_limit(limit, MAX_RESULTS)
        backend = self._backend()
        return find_symbol(backend, name, _scope(backend, repo, path), limit)

    def grep(
        self,
        pattern: str,
        repo: str | None = None,
        path: str | None = None,
        limit: int = 50,
        *,
        ignore_case: bool = False,
    ) -> Matches:
        """See `bawn.search.grep.grep`.

        Raises:
            InvalidRequest: an argument can't be; the message names it.
            NotFound: no such repository is indexed.
        """
        _check_limit(limit, MAX_LINES)
        backend = self._backend()
        return grep(backend, pattern, _scope(backend, repo, path), limit, ignore_case=ignore_case)

    def outline(self, repo: str, path: str | None = None, budget_tokens: int = 2000) -> Outline:
        """See `bawn.search.outline.outline`.

        Raises:
            InvalidRequest: the path can't be.
            NotFound: no such repository is indexed.
        """
        backend = self._backend()
        return outline(backend, repo, _scope(backend, repo, path), budget_tokens)

    def read_file(self, repo: str, path: str, start_line: int = 1, end_line: int | None = None) -> FileSlice:
        """Lines of an indexed file; see `read_slice` for bounds and errors.

        Raises:
            InvalidRequest: the path or the range can't be.
            NotFound: the repository or the file is not in the index.
        """
        return read_slice(self._backend(), repo, path, start_line, end_line)


def _check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise InvalidRequest(f"`limit` must be from 1 to {most}.", param="limit")


def _scope(backend: SearchBackend, repo: str | None, path: str | None, language: str | None = None) -> Scope:
    scope = Scope(_known_repo(backend, repo), path or None, _known_language(backend, language))
    if scope.path is not None:
        path_pattern(scope.path)
    return scope


def _known_repo(backend: SearchBackend, repo: str | None) -> str | None:
    return repository_named(backend.repos(), repo) if repo else None


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
