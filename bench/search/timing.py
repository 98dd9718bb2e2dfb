"""How long questions take, and which ones are asked."""

import random
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from bench.report import percentile
from bench.search.corpora import Corpus
from bench.search.engines.engine import Search
from bench.search.tasks import docstrings, symbols

WARM_UP: Final = 20
LIMIT: Final = 8
"""Results of one search: the tool's default."""


def questions(corpora: Sequence[Corpus], most: int) -> list[str]:
    """Sentences, names and words, mixed."""
    asked = [
        query.text
        for corpus in corpora
        for ask in (docstrings.ask, symbols.ask_names, symbols.ask_words)
        for query in ask(corpus, most).queries
    ]
    random.Random(len(asked)).shuffle(asked)
    return asked[: most + WARM_UP]


def timed(search: Search, asked: Sequence[str], warm_up: int = WARM_UP) -> list[float]:
    """Milliseconds of each question after the first `warm_up`, one after the other."""
    for text in asked[:warm_up]:
        search(text, LIMIT)
    took: list[float] = []
    for text in asked[warm_up:]:
        started = perf_counter()
        search(text, LIMIT)
        took.append(1000 * (perf_counter() - started))
    return took


def p95(took: Sequence[float]) -> float:
    """Milliseconds within which 95 of 100 are answered."""
    return percentile(took, 0.95)


def told(took: Sequence[float]) -> str:
    """What a note says of them."""
    return f"p50 {percentile(took, 0.5):.1f} ms, {len(took)} questions"
