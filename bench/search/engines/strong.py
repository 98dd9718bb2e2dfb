"""The strong baseline: BM25 without any model over chunks that begin at definitions.

Identifiers are split and kept whole beside that, names that a chunk defines count as if they were there three times
more, the words of the path are words of the chunk, tests and documentation are worth less, and of one file come three
chunks at most. Nothing of the product is in it. BM25 as Robertson and Zaragoza have it (2009), with Lucene's idf,
k1 = 1.2 and b = 0.75. How often names count and from how many lines on a chunk stands alone was tried on the projects
that are not held out; all else is as one would write it down.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from heapq import nlargest
from itertools import pairwise
from typing import Final

from bench.search.code.reading import definitions
from bench.search.engines.engine import Copy, Engine, Search
from bench.search.kinds import PROSE, is_source, is_test
from bench.search.places import Place
from bench.search.words import asked, words

NAME: Final = "strong BM25"
_K1: Final = 1.2
_B: Final = 0.75
_LEAST_LINES: Final = 12
_MOST_LINES: Final = 60
_OF_NAME: Final = 3
_MOST_OF_FILE: Final = 3
_OF_TEST: Final = 0.5
_OF_PROSE: Final = 0.7


class Bm25:
    """BM25 over lists of words."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self._lengths = [len(document) for document in documents]
        self._mean = sum(self._lengths) / max(1, len(self._lengths))
        self._postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, document in enumerate(documents):
            for word, count in Counter(document).items():
                self._postings[word].append((number, count))

    def scores(self, query: Sequence[str]) -> dict[int, float]:
        """Of every document that has a word of the query, by its number."""
        scores: defaultdict[int, float] = defaultdict(float)
        for word in query:
            postings = self._postings.get(word, [])
            idf = math.log1p((len(self._lengths) - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, count in postings:
                length = 1 - _B + _B * self._lengths[number] / self._mean
                scores[number] += idf * count * (_K1 + 1) / (count + _K1 * length)
        return scores


def chunks(path: str, text: str) -> list[Place]:
    """A file in chunks that begin where something is defined, with the comment above; short ones are put together."""
    last = text.count("\n") + 1
    starts = {1, last + 1}
    for one in definitions(path, text):
        above = one.comment[0] if one.comment is not None and one.comment[0] < one.start else one.start
        starts.add(above)
    found: list[Place] = []
    for start, end in pairwise(sorted(starts)):
        for first in range(start, end, _MOST_LINES):
            rest = min(end, first + _MOST_LINES) - 1
            before = found[-1] if found else None
            if before and before.end - before.start + 1 < _LEAST_LINES and rest - before.start < _MOST_LINES:
                found[-1] = Place(path, before.start, rest)
            else:
                found.append(Place(path, first, rest))
    return found


class StrongBaseline:
    """An index of some files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._places: list[Place] = []
        documents: list[list[str]] = []
        for path, text in files.items():
            lines, of_path = text.split("\n"), words(path)
            defined = definitions(path, text)
            for place in chunks(path, text):
                self._places.append(place)
                names = words(" ".join(one.name for one in defined if place.start <= one.start <= place.end))
                documents.append(of_path + words("\n".join(lines[place.start - 1 : place.end])) + names * _OF_NAME)
        self._worth = {path: _worth(path) for path in files}
        self._bm25 = Bm25(documents)

    def search(self, text: str, limit: int) -> list[Place]:
        """At most `limit` chunks, best first."""
        scores = self._bm25.scores(asked(text))
        worth = {number: score * self._worth[self._places[number].path] for number, score in scores.items()}
        best = nlargest(limit * 20, worth, key=lambda number: (worth[number], -number))
        kept: list[Place] = []
        of_file: Counter[str] = Counter()
        for number in best:
            place = self._places[number]
            if of_file[place.path] < _MOST_OF_FILE:
                kept.append(place)
                of_file[place.path] += 1
        return kept[:limit]


def _worth(path: str) -> float:
    if is_test(path):
        return _OF_TEST
    return _OF_PROSE if not is_source(path) or path.endswith(tuple(PROSE)) else 1.0


@contextmanager
def _opened(copy: Copy) -> Generator[Search]:
    yield StrongBaseline(copy.files).search


ENGINE: Final = Engine(NAME, _opened)
