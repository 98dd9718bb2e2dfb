"""Name → definition: the name itself, or its words as somebody says them who does not know how it is written."""

from collections import defaultdict
from collections.abc import Callable

from bench.search.code.definitions import Definition
from bench.search.code.reading import definitions
from bench.search.corpora import Corpus
from bench.search.kinds import is_source, is_test
from bench.search.places import Place, Query
from bench.search.tasks.task import Asked, sample
from bench.search.words import compound, parts

_MOST_PLACES = 3
_WORDS = range(2, 7)


def ask_names(corpus: Corpus, most: int) -> Asked:
    """Names of two words or more that one place defines, as they are written."""
    found = [
        Query(name, places)
        for name, places in _defined(corpus, lambda one: one.name).items()
        if len(places) == 1 and compound(name) and is_source(places[0].path)
    ]
    return Asked(corpus.files, sample(found, most, "names", corpus.name))


def ask_words(corpus: Corpus, most: int) -> Asked:
    """Names of two to six words, as words; all that is so called is right, if it is not much."""
    found = [
        Query(words, places)
        for words, places in _defined(corpus, lambda one: " ".join(parts(one.name))).items()
        if len(words.split()) in _WORDS and len(places) <= _MOST_PLACES and is_source(places[0].path)
    ]
    return Asked(corpus.files, sample(found, most, "words", corpus.name))


def _defined(corpus: Corpus, key: Callable[[Definition], str]) -> dict[str, tuple[Place, ...]]:
    found: defaultdict[str, list[Place]] = defaultdict(list)
    for path, text in corpus.files.items():
        for definition in definitions(path, text):
            if not _special(definition.name) and not (is_test(path) and "test" in definition.name.lower()):
                found[key(definition)].append(Place(path, definition.start, definition.end))
    return {name: tuple(sorted(places, key=lambda one: not is_source(one.path))) for name, places in found.items()}


def _special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
