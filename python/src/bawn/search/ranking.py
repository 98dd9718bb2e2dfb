"""Reranking of candidates, the same for every backend: identifier-aware BM25F and what a reader of code knows.

BM25F as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), section 3.6: the counts of a
word in the fields are weighed and normalised for length before they saturate together.
"""

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from statistics import median
from typing import Final

import msgspec

from bawn.search.backend import Statistics
from bawn.search.documents import IndexDocument, count_words
from bawn.search.identifiers import fold, words
from bawn.search.query import Query

K1: Final = 2.8
RARITY: Final = 0.7
"""Power of the inverse document frequency: words of a question go together, and the rarest alone would decide."""


class Field(msgspec.Struct, frozen=True):
    """How a field counts in BM25F."""

    weight: float
    b: float
    """Strength of the normalisation for length, from 0 to 1."""


FIELD_WEIGHTS: Final = {
    "symbols": Field(4.0, 0.6),
    "path": Field(2.0, 0.35),
    "identifiers": Field(1.3, 0.75),
    "text": Field(1.0, 0.75),
}
KIND_FACTORS: Final = {"source": 1.0, "test": 0.42, "docs": 0.75, "vendored": 0.4, "generated": 0.4}
DEFINED: Final = 1.2
"""What a defined name adds to the score of its chunk, in shares of it, where its words are those of the question."""
_DECLARES: Final = (".pyi", ".d.ts", ".d.mts", ".d.cts")
_DECLARATION: Final = 0.7
"""What a file keeps that only declares what another has the code of."""
_INSIDE: Final = 1.1
"""What a chunk of source gets, where prose is asked, that defines no name: it is from the inside of something long, and
has no name of its own to be found by."""
FILE_WEIGHT: Final = 0.12
FILE_CHUNKS: Final = 8
"""What a chunk gets of the scores of the best chunks of its file, where prose is asked: a file that speaks of something
in many places is about it."""
FILE_AMONG: Final = 30
"""The best chunks that count for their file: those that every backend finds."""
_SATURATION: Final = (1.0, 0.85, 0.75, 0.65, 0.6)
"""What the first chunk of one file keeps of its score, the second, and so on; more of one file are not given."""
PARTS_ONLY: Final = 0.25
"""What a chunk keeps of its score that has parts of the name that is asked for, and the name nowhere."""
MEANING_AMONG: Final = 200
"""Of so many chunks that the words put first the meaning counts, too."""
MEANING_WEIGHT: Final = 0.3
"""How much of the score it is."""
_REMEMBERED: Final = 1 << 14
"""Paths and names whose words are kept: those of a large repository that are asked for."""

Similarities = Callable[[Sequence[IndexDocument]], Sequence[float | None]]
"""How near each of some documents is to the question in meaning, as a cosine; None where that isn't known."""


class Ranked(msgspec.Struct, frozen=True, gc=False):
    """A document and its score; scores of one query can be compared, those of two can't."""

    document: IndexDocument
    score: float


def rank(
    query: Query,
    documents: Sequence[IndexDocument],
    statistics: Statistics,
    limit: int,
    similarities: Similarities | None = None,
) -> list[Ranked]:
    """The best `limit` of `documents`, best first, by their words, and by `similarities` where those are given."""
    weights = _inverse_frequencies(query, statistics)
    scored = [Ranked(document, _score(query, document, weights, statistics)) for document in documents]
    # The order never hangs on the order of the candidates: two backends give the same list.
    scored.sort(key=_order)
    if query.kind == "prose":
        scored = _with_files(scored)
    if similarities is not None:
        scored = _with_meaning(query, scored, similarities)
    return _saturate(scored, limit)


def _order(ranked: Ranked) -> tuple[float, str, str, int]:
    return (-ranked.score, ranked.document.repo, ranked.document.path, ranked.document.start_line)


def _with_files(scored: list[Ranked]) -> list[Ranked]:
    of_file: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for one in scored[:FILE_AMONG]:
        of_file[one.document.repo, one.document.path].append(one.score)
    best = {file: sum(scores[:FILE_CHUNKS]) for file, scores in of_file.items()}
    joined: list[Ranked] = []
    for one in scored:
        others = best.get((one.document.repo, one.document.path), 0.0) - one.score
        joined.append(Ranked(one.document, one.score + FILE_WEIGHT * max(0.0, others)))
    return sorted(joined, key=_order)


def _with_meaning(query: Query, scored: list[Ranked], similarities: Similarities) -> list[Ranked]:
    """Fuse both scores, each between nothing and the best of all; a chunk of unknown meaning has that of the middle."""
    found = similarities([one.document for one in scored[:MEANING_AMONG]])
    known = [one for one in found if one is not None]
    if not known or scored[0].score <= 0.0:
        return scored
    best, least, range_ = scored[0].score, min(known), max(known) - min(known)
    middle = median(known)
    fused: list[Ranked] = []
    for one, similarity in itertools.zip_longest(scored, found):
        near = ((middle if similarity is None else similarity) - least) / range_ if range_ else 0.0
        meaning = best * near * _kind_factor(query, one.document) if len(fused) < MEANING_AMONG else 0.0
        fused.append(Ranked(one.document, (1.0 - MEANING_WEIGHT) * one.score + MEANING_WEIGHT * meaning))
    return sorted(fused, key=_order)


def _inverse_frequencies(query: Query, statistics: Statistics) -> dict[str, float]:
    total = max(1, statistics.documents)
    weights: dict[str, float] = {}
    for word in query.words:
        frequency = min(statistics.frequency.get(word, 0), total)
        if frequency:
            weights[word] = math.log1p((total - frequency + 0.5) / (frequency + 0.5)) ** RARITY
    return weights


def bm25f(document: IndexDocument, weights: dict[str, float], statistics: Statistics) -> float:
    """BM25F of a document; `weights` has what each word of the query counts."""
    counts: dict[str, float] = {}
    sought = [(word, f" {word} ") for word in weights]
    for name, field in FIELD_WEIGHTS.items():
        content: str = getattr(document.words, name)
        if not content:
            continue
        mean = statistics.mean_lengths.get(name) or 1.0
        scale = field.weight / (1.0 - field.b + field.b * count_words(content) / mean)
        for word, spaced in sought:
            if count := content.count(spaced):
                counts[word] = counts.get(word, 0.0) + count * scale
    return sum(weights[word] * (K1 + 1.0) * count / (K1 + count) for word, count in counts.items())


def _score(query: Query, document: IndexDocument, weights: dict[str, float], statistics: Statistics) -> float:
    if query.kind == "path" and _is_path(query.path, document.path):
        # Whoever asks for a file wants it from its top.
        return 1_000.0 / (1.0 + document.start_line / 1_000.0)
    score = bm25f(document, weights, statistics)
    score *= 1.0 + _definition_boost(query, document) + _path_boost(query, document)
    if query.kind == "prose" and document.kind == "source" and not document.symbols:
        score *= _INSIDE
    if query.wholes and not _has_name(query, document):
        score *= PARTS_ONLY
    return score * _kind_factor(query, document)


def _has_name(query: Query, document: IndexDocument) -> bool:
    contents: list[str] = [getattr(document.words, name) for name in FIELD_WEIGHTS]
    return any(f" {whole} " in content for whole in query.wholes for content in contents)


def _kind_factor(query: Query, document: IndexDocument) -> float:
    if document.kind in query.wants:
        return 1.0
    factor = KIND_FACTORS[document.kind] * (_DECLARATION if document.path.endswith(_DECLARES) else 1.0)
    # Who asks by a name looks for the code that has it; prose may well be answered by documentation.
    return factor * factor if query.kind == "symbol" else factor


def _definition_boost(query: Query, document: IndexDocument) -> float:
    """How well a name that the chunk defines answers the query."""
    best = 0.0
    asked: frozenset[str] = frozenset().union(*query.terms) if query.terms else frozenset()
    for symbol in document.symbols:
        name = symbol.rpartition(".")[2]
        if name in query.names or symbol in query.names:
            qualified = query.kind == "symbol" and len(query.names) > 1
            owner = sum(1 for other in query.names if other != name and other in document.context)
            best = max(best, (4.0 if query.kind == "symbol" else 1.0) + (owner if qualified else 0.0))
        elif asked:
            parts = _symbol_words(symbol)
            if simple := parts & asked:
                covered = len(simple) / len(asked)
                # The whole of a compound is among its words too, and is not a part that the query could miss.
                own = max(1, len(parts) - (1 if len(parts) > 1 else 0))
                best = max(best, DEFINED * covered * min(1.0, len(simple) / own))
    return best


@lru_cache(maxsize=_REMEMBERED)
def _symbol_words(symbol: str) -> frozenset[str]:
    return frozenset(words(symbol))


@lru_cache(maxsize=_REMEMBERED)
def _path_words(path: str) -> tuple[frozenset[str], frozenset[str]]:
    """Those of the file's stem, and those of its folder."""
    whole = PurePosixPath(path)
    stem, folder = whole.name.partition(".")[0], whole.parent.name
    return frozenset(map(fold, words(stem))), frozenset(map(fold, words(folder)))


def _is_path(asked: str, path: str) -> bool:
    """Whether `asked` is the file's path or the end of it."""
    return f"/{path.lower()}".endswith("/" + asked.removeprefix("./").strip("/").lower())


def _path_boost(query: Query, document: IndexDocument) -> float:
    """How well the path answers the query."""
    if query.path:
        if _is_path(query.path, document.path):
            return 1.5
        if f"/{query.path.strip('/').lower()}/" in f"/{document.path.lower()}":
            return 3.0 if query.kind == "path" else 0.8
    stem, folder = _path_words(document.path)
    hits = sum(1 for term in query.terms if term & stem)
    near = sum(1 for term in query.terms if term & folder and not term & stem)
    return (0.5 * hits + 0.2 * near) / max(1, len(query.terms))


def _saturate(ranked: Sequence[Ranked], limit: int) -> list[Ranked]:
    seen: Counter[tuple[str, str]] = Counter()
    kept: list[Ranked] = []
    best: list[float] = []  # a heap of the highest `limit` scores that were kept
    for entry in ranked:
        if len(best) == limit and entry.score <= best[0]:
            break
        key = (entry.document.repo, entry.document.path)
        if seen[key] < len(_SATURATION) and entry.score > 0.0:
            score = entry.score * _SATURATION[seen[key]]
            kept.append(Ranked(entry.document, score))
            seen[key] += 1
            if len(best) < limit:
                heapq.heappush(best, score)
            else:
                heapq.heappushpop(best, score)
    kept.sort(key=lambda r: -r.score)
    return kept[:limit]
