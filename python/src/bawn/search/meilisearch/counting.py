"""Statistics of an index of Meilisearch, which knows them all, and gives them one question at a time."""

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final

FRESH_S: Final = 60.0
"""So long a count holds: what an index run changes in it meanwhile moves no ranking that anybody could see."""
_MOST_WORDS: Final = 50_000


class Counts:
    """What was learned of an index lately: how many documents have a word, how many there are, how long they are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._words: dict[str, tuple[int, float]] = {}
        self._documents = (0, -FRESH_S)
        self._means: tuple[int, Mapping[str, float]] | None = None

    def learn(self, documents: int, words: Mapping[str, int]) -> None:
        """Note how many documents there are, and how many have each of `words`."""
        now = self._clock()
        with self._lock:
            self._documents = (documents, now)
            if len(self._words) + len(words) > _MOST_WORDS:
                self._words.clear()
            self._words.update((word, (count, now)) for word, count in words.items())

    def learn_means(self, documents: int, means: Mapping[str, float]) -> None:
        """Note the mean lengths of `documents` documents; they hold until there are more or fewer."""
        with self._lock:
            self._means = (documents, means)

    def documents(self) -> int | None:
        """How many documents there are, if that was learned lately."""
        with self._lock:
            count, when = self._documents
            return count if self._clock() - when < FRESH_S else None

    def word(self, word: str) -> int | None:
        """How many documents have a word, if that was learned lately."""
        with self._lock:
            count, when = self._words.get(word, (0, -FRESH_S))
            return count if self._clock() - when < FRESH_S else None

    def means(self, documents: int) -> Mapping[str, float] | None:
        """Mean lengths of the fields, if they were learned of an index of so many documents."""
        with self._lock:
            return self._means[1] if self._means is not None and self._means[0] == documents else None
