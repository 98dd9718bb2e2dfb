"""An index of Meilisearch opened for reading: a question is two calls, of several queries each."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from bawn.contracts.errors import Unavailable, UpstreamBroken
from bawn.search.backend import Scope, Statistics
from bawn.search.documents import FIELDS, FORMAT, IndexDocument
from bawn.search.meilisearch.counting import Counts
from bawn.search.meilisearch.scoping import Filter, one_of, scope_filter
from bawn.search.meilisearch.server import Found, Hit, Server
from bawn.search.meilisearch.stored import file_key, read_spelled, spelled, token

WHOLE_QUERY_LIMIT: Final = 80
PAIR_LIMIT: Final = 20
SINGLE_WORD_LIMIT: Final = 25
"""Candidates for all words together, for two of them, and for one alone."""

_TOGETHER: Final = 4
"""So many words are looked for together, the rarest."""
_IN_PAIRS: Final = 5
"""So many are looked for two and two, each with the next less rare. No query of Meilisearch adds up what several words
are worth: a chunk that has some words of a long question, none of them rare, is found so."""
_COUNTED_AT_ONCE: Final = 200
_MOST_FILES: Final = 1_000_000
_MOST_CHUNKS: Final = 20_000
_FILES_OF_GLOB: Final = 1_000
"""Files that a glob may name one by one in a filter."""
_BEYOND: Final = 5
"""Times the candidates, where a glob that names more files than that may refuse many of them."""
_STORED: Final = ["id", "format", "published", "document"]
_LISTED: Final = ["published", "repo", "file", "path", "blob"]
_CHUNK: Final = "kind = chunk"
_FILE: Final = "kind = file"

_document: Final = msgspec.json.Decoder(IndexDocument)


class MeilisearchIndex:
    """An index that a Meilisearch server has. Methods may be called from several threads."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self._counts = Counts()

    def candidates(self, words: Sequence[str], scope: Scope) -> list[IndexDocument]:
        """See `SearchBackend.candidates`."""
        # A word that nothing had may be there since the last push.
        frequency, _ = self._frequencies(words, absent=False)
        rarest = sorted((word for word, count in frequency.items() if count), key=lambda word: frequency[word])
        if not rarest:
            return []
        within, beyond = self._resolve(scope_filter(scope))
        if len(rarest) > 1:
            asked = [(" ".join(map(token, rarest[:_TOGETHER])), WHOLE_QUERY_LIMIT)]
            asked += [(_exactly(word), SINGLE_WORD_LIMIT) for word in rarest]
            # Together they are looked for from the rarest on: the first two are a pair already.
            asked += [(_exactly(*pair), PAIR_LIMIT) for pair in pairwise(rarest[1:_IN_PAIRS])]
        else:
            asked = [(_exactly(rarest[0]), WHOLE_QUERY_LIMIT)]
        found = self._search(_query(words, within, beyond * limit) for words, limit in asked)
        documents = {hit.id: _decode(hit) for one in found for hit in one.hits}
        chosen: dict[str, Hit] = {}
        for (_, limit), one in zip(asked, found, strict=True):
            admitted = [hit for hit in one.hits if within.admits(documents[hit.id].path)]
            chosen.update({hit.id: hit for hit in admitted[:limit]})
        return _newest((hit, documents[hit.id]) for hit in chosen.values())

    def statistics(self, words: Sequence[str]) -> Statistics:
        """See `SearchBackend.statistics`. A word's frequency is that of the fields together."""
        frequency, total = self._frequencies(words)
        return Statistics(total, self._means(total), frequency)

    def _frequencies(self, words: Sequence[str], *, absent: bool = True) -> tuple[dict[str, int], int]:
        """How many chunks of the whole index have each of the words, and how many there are.

        `absent`: what was learned lately of words that nothing has counts, too.
        """
        known = {word: self._counts.word(word) for word in words}
        unknown = [word for word, count in known.items() if count is None or not (count or absent)]
        frequency = {word: count or 0 for word, count in known.items()}
        total = self._counts.documents()
        for at in range(0, len(unknown) or (total is None), _COUNTED_AT_ONCE):
            some = unknown[at : at + _COUNTED_AT_ONCE]
            *found, every = self._search([*map(_count, some), _count("")])
            learned = {word: one.total_hits for word, one in zip(some, found, strict=True)}
            total = every.total_hits
            self._counts.learn(total, learned)
            frequency |= learned
        return frequency, total or 0

    def _means(self, total: int) -> dict[str, float]:
        known = self._counts.means(total)
        if known is None:
            (lengths,) = self._search([{**_count(""), "facets": [f"{name}_length" for name in FIELDS]}])
            known = {name: _mean(lengths.facet_distribution.get(f"{name}_length", {})) for name in FIELDS}
            self._counts.learn_means(lengths.total_hits, known)
        return dict(known)

    def repos(self) -> list[str]:
        """See `SearchBackend.repos`."""
        return self._values("repo")

    def languages(self) -> list[str]:
        """See `SearchBackend.languages`."""
        return self._values("language")

    def _values(self, attribute: str) -> list[str]:
        (found,) = self._search([{"q": "", "filter": [_FILE], "hitsPerPage": 0, "facets": [attribute]}])
        return sorted(read_spelled(digits) for digits in found.facet_distribution.get(attribute, {}))

    def listed(self, within: Filter) -> list[Hit]:
        """What lists each file that a filter admits, one that is being replaced more than once."""
        found = self._server.fetch(self._name, [_FILE, *within.conditions], _LISTED, _MOST_FILES)
        return [hit for hit in found if within.admits(hit.path)]

    def files(self, scope: Scope) -> list[tuple[str, str]]:
        """See `SearchBackend.files`."""
        return sorted({(read_spelled(hit.repo), hit.path) for hit in self.listed(scope_filter(scope))})

    def blobs(self, repo: str) -> dict[str, str]:
        """See `SearchBackend.blobs`."""
        hits = sorted(self.listed(scope_filter(Scope(repo=repo))), key=lambda hit: hit.published)
        return {hit.path: hit.blob for hit in hits}

    def documents(self, files: Sequence[tuple[str, str]]) -> list[IndexDocument]:
        """See `SearchBackend.documents`."""
        if not files:
            return []
        own = one_of("file", (file_key(repo, path) for repo, path in files))
        found = self._server.fetch(self._name, [_CHUNK, own], _STORED, _MOST_CHUNKS)
        return _newest((hit, _decode(hit)) for hit in found)

    def file(self, repo: str, path: str) -> list[IndexDocument]:
        """See `SearchBackend.file`."""
        return sorted(self.documents([(repo, path)]), key=lambda one: one.start_line)

    def count(self, repo: str) -> tuple[int, int]:
        """See `SearchBackend.count`."""
        own = f'repo = "{spelled(repo)}"'
        files, chunks = self._search([{"q": "", "filter": [kind, own], "hitsPerPage": 0} for kind in (_FILE, _CHUNK)])
        return files.total_hits, chunks.total_hits

    def _resolve(self, within: Filter) -> tuple[Filter, int]:
        """A filter that says which files a glob names, where its conditions say too little; and how many times the
        candidates to ask for, where it can't."""
        if within.exact:
            return within, 1
        files = {hit.file for hit in self.listed(within)}
        if len(files) > _FILES_OF_GLOB:
            return within, _BEYOND
        return Filter((one_of("file", sorted(files)),), within.path, exact=True), 1

    def _search(self, queries: Iterable[dict[str, Any]]) -> list[Found]:
        return self._server.search(self._name, queries)


def _query(words: str, within: Filter, limit: int) -> dict[str, Any]:
    return {
        "q": words,
        "matchingStrategy": "frequency",
        "filter": list(within.conditions),
        "hitsPerPage": limit,
        "attributesToRetrieve": _STORED,
    }


def _count(word: str) -> dict[str, Any]:
    """A query that asks how many chunks have a word, or how many there are."""
    return {"q": _exactly(word) if word else "", "filter": [] if word else [_CHUNK], "hitsPerPage": 0}


def _exactly(*words: str) -> str:
    """What asks for each of some words and nothing like it: as a phrase a word takes a third of the time."""
    return " ".join(f'"{token(word)}"' for word in words)


def _mean(distribution: dict[str, int]) -> float:
    total = sum(distribution.values())
    return sum(float(length) * count for length, count in distribution.items()) / total if total else 0.0


def _decode(hit: Hit) -> IndexDocument:
    if hit.format != FORMAT:
        raise Unavailable(
            f"The search index is of format {hit.format}; this version reads format {FORMAT}. "
            "Build it anew with `bawn index run --rebuild`."
        )
    try:
        return _document.decode(hit.document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UpstreamBroken("Meilisearch has a document of no known form.") from error


def _newest(found: Iterable[tuple[Hit, IndexDocument]]) -> list[IndexDocument]:
    """Of a file that is being replaced, the chunks of its new version alone."""
    listed = list(found)
    latest: dict[tuple[str, str], int] = {}
    for hit, document in listed:
        key = (document.repo, document.path)
        latest[key] = max(latest.get(key, 0), hit.published)
    return [document for hit, document in listed if hit.published == latest[document.repo, document.path]]
