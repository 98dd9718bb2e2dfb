"""What a task is."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from bench.search.corpora import Corpus
from bench.search.places import Query

A = TypeVar("A")


class Asked(msgspec.Struct, frozen=True):
    """The questions to one corpus."""

    files: Mapping[str, str]
    """The copy that is searched."""
    queries: Sequence[Query]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A sort of question."""

    name: str
    ask: Callable[[Corpus, int], Asked]
    """Of a corpus, at most so many questions."""
    measure: str
    """The measure that its bar is about."""
    bar: str
    """What ours must reach, beside the strong baseline."""
    by_file: bool = False
    """The answers are files, whatever their lines."""
    per_project: int = 50
    """Questions to each project, at most."""


def sample(found: Sequence[A], most: int, *seed: str) -> list[A]:
    """At most so many, in their order; the same ones in each run."""
    if len(found) <= most:
        return list(found)
    chosen = random.Random("/".join(seed)).sample(range(len(found)), most)
    return [found[at] for at in sorted(chosen)]
