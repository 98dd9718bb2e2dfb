"""How a chunk lies in Meilisearch: its documents, and the settings of the index, as code.

Meilisearch ranks by buckets and never by weights: by which searchable attribute a word is in. So each word of a chunk
is in one of `LEVELS` attributes, chosen by what our ranking makes of the word there, and the chunks that it finds first
for a word are those that our ranking puts first. With an attribute for each field (symbols, path, identifiers, text) a
quarter of the ten best chunks were no candidates; with levels it is one in fifteen.

What filters use is written in hexadecimal digits or hashed: Meilisearch folds case and accents of what it compares, and
cuts it at 468 bytes.
"""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec

from bawn.search.documents import FIELDS, FORMAT, IndexDocument, count_words
from bawn.search.identifiers import words
from bawn.search.ranking import DEFINED, FIELD_WEIGHTS, K1, KIND_FACTORS

LEVELS: Final = 32
ABOUT: Final = "about"
"""Identity of the document that says what the index is."""

_TYPICAL: Final = {"symbols": 3.0, "path": 10.0, "identifiers": 40.0, "text": 80.0}
"""Mean lengths of code in general: a level is for choosing candidates, and those of the index are for ranking them."""
_GREATEST: Final = 2.5
_LEAST: Final = 0.08
_RANGE: Final = math.log(_GREATEST / _LEAST)
_NAMES: Final = tuple(f"level_{number:02}" for number in range(LEVELS))
_LENGTHS: Final = tuple(f"{name}_length" for name in FIELDS)
_TAIL: Final = re.compile(r"(?=[^A-Za-z0-9])")


class About(msgspec.Struct, frozen=True):
    """What an index is."""

    format: int
    complete: bool
    """False while a rebuilt index is being filled."""
    mark: str
    """Of this index alone."""


def settings() -> dict[str, Any]:
    """The settings of an index; what is not named here stays as it is."""
    equality = {"facetSearch": False, "filter": {"equality": True, "comparison": False}}
    return {
        "searchableAttributes": list(_NAMES),
        "displayedAttributes": [
            "id", "kind", "format", "complete", "mark", "published", "repo", "file", "path", "blob", "document",
        ],
        "filterableAttributes": [
            {"attributePatterns": [name], "features": equality}
            for name in ("kind", "repo", "file", "within", "tails", "language", "published", *_LENGTHS)
        ],
        "sortableAttributes": [],
        # The reranking sees counts and lengths; from Meilisearch it wants the likeliest candidates.
        "rankingRules": ["words", "attributeRank"],
        "typoTolerance": {"enabled": False},
        "prefixSearch": "disabled",
        "facetSearch": False,
        "proximityPrecision": "byAttribute",
        "stopWords": [],
        "synonyms": {},
        "dictionary": [],
        "separatorTokens": [],
        # Any entry here or there costs each query milliseconds.
        "nonSeparatorTokens": [],
        "distinctAttribute": None,
        # Words are ASCII: no language has to be guessed.
        "localizedAttributes": [{"attributePatterns": ["*"], "locales": ["eng"]}],
        "pagination": {"maxTotalHits": 1_000_000_000},
        # Every length that there is, and every repository.
        "faceting": {"maxValuesPerFacet": 100_000, "sortFacetValuesBy": {"*": "alpha"}},
        "searchCutoffMs": 1500,
    }  # fmt: skip


@lru_cache(maxsize=1 << 16)
def token(word: str) -> str:
    """`word` in a form that Meilisearch takes for one word, and no other word for the same.

    It cuts CJK in pieces and strips accents. And it takes a word for two, `readfile` for `read` and `file`, where both
    are words: with letters before each that are in the middle of none, the second never is.
    """
    if word.isascii() and word.isalnum():
        return f"zq{word}"
    return f"qz{hashlib.sha256(word.encode()).hexdigest()[:24]}"


def spelled(text: str) -> str:
    """`text` as hexadecimal digits."""
    return text.encode().hex()


def read_spelled(digits: str) -> str:
    """The text that `spelled` was given."""
    return bytes.fromhex(digits).decode()


def _hash(*parts: str, size: int = 16) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=size).hexdigest()


def file_key(repo: str, path: str) -> str:
    """What all chunks of a file have in common."""
    return _hash(repo, path, size=12)


def part_key(part: str) -> str:
    """What stands for a folder, a path, or the end of a file's name."""
    return _hash(part, size=6)


def tails(path: str) -> list[str]:
    """The name of a file, and the ends of it that begin with a character that is no letter and no digit."""
    name = path.rpartition("/")[2]
    return list(dict.fromkeys([name, *(name[found.start() :] for found in _TAIL.finditer(name))]))


def _folders(path: str) -> list[str]:
    pieces = path.split("/")
    return ["/".join(pieces[:end]) for end in range(1, len(pieces) + 1)]


def file_documents(repo: str, path: str, chunks: Iterable[IndexDocument], published: int) -> list[dict[str, Any]]:
    """The documents of a file: one that lists it, and one a chunk; none for a file without chunks.

    `published` is greater for what is published later.
    """
    chunks = list(chunks)
    if not chunks:
        return []
    blob = chunks[0].blob
    common = {
        "format": FORMAT,
        "published": published,
        "repo": spelled(repo),
        "file": file_key(repo, path),
        "within": [part_key(folder) for folder in _folders(path)],
        "tails": [part_key(tail) for tail in tails(path)],
        "language": spelled(chunks[0].language),
    }
    made: list[dict[str, Any]] = [{"id": _hash(repo, path, blob), "kind": "file", **common, "path": path, "blob": blob}]
    made += [
        {
            "id": _hash(repo, path, blob, str(chunk.start_line)),
            "kind": "chunk",
            **common,
            **{f"{name}_length": count_words(getattr(chunk.words, name)) for name in FIELDS},
            **_searchable(chunk),
            "document": chunk,
        }
        for chunk in chunks
    ]
    return made


def about_document(about: About) -> dict[str, Any]:
    """The document that says what the index is."""
    return {"id": ABOUT, "kind": ABOUT, **msgspec.structs.asdict(about)}


def _searchable(chunk: IndexDocument) -> dict[str, str]:
    """What each word of a chunk is worth to a query of this word alone, as the level that it lies in; but for how rare
    it is, which is the same for all chunks."""
    factor = KIND_FACTORS[chunk.kind]
    weights, defined = _weights(chunk), _defined(chunk)
    # Most words of a chunk have one of a few weights.
    alike: defaultdict[float, list[str]] = defaultdict(list)
    for word, weight in weights.items():
        if word not in defined:
            alike[weight].append(word)
    levels: defaultdict[int, list[str]] = defaultdict(list)
    for weight, some in alike.items():
        levels[_level_of(factor * weight / (K1 + weight))] += map(token, some)
    for word, share in defined.items():
        if weight := weights.get(word):
            levels[_level_of(factor * weight / (K1 + weight) * (1.0 + DEFINED * share))].append(token(word))
    return {_NAMES[number]: _side_by_side(some) for number, some in levels.items()}


def _side_by_side(some: list[str]) -> str:
    """Words in the form in which Meilisearch has least to note of where they stand, which nothing asks for.

    Positions beyond the first are kept in groups, and a semicolon counts for eight of them. Frequent words, which are
    short, come last, where groups are large.
    """
    return ";".join(sorted(some, key=len, reverse=True))


def _weights(chunk: IndexDocument) -> dict[str, float]:
    """The counts of each word in the fields, weighed and normalised for length as BM25F does before they saturate."""
    weights: dict[str, float] = {}
    for name, field in FIELD_WEIGHTS.items():
        own: list[str] = getattr(chunk.words, name).split()
        scale = field.weight / (1.0 - field.b + field.b * len(own) / _TYPICAL[name])
        for word in own:
            weights[word] = weights.get(word, 0.0) + scale
    return weights


def _defined(chunk: IndexDocument) -> dict[str, float]:
    """The words of the names that a chunk defines, and how much of such a name each is at most."""
    defined: dict[str, float] = {}
    for symbol in chunk.symbols:
        parts = set(words(symbol))
        # The whole of a compound is among its words too.
        share = 1.0 / max(1, len(parts) - 1)
        defined.update({part: max(share, defined.get(part, 0.0)) for part in parts})
    return defined


def _level_of(impact: float) -> int:
    """The level of an impact, 0 for the greatest; each is the same factor below the one before."""
    level = int(math.log(_GREATEST / impact) / _RANGE * LEVELS)
    return max(0, min(LEVELS - 1, level))
