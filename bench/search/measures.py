"""How well a ranked list answers a question.

The usual measures of retrieval, with answers that are right or wrong: reciprocal rank, nDCG@10 (gain 1, discount
log2(1 + rank), as Järvelin and Kekäläinen have it), the share of answers among the first five, and whether any is
there. An answer is credited once, to the first result that overlaps it; other results over it are worth nothing.
"""

import random
from collections.abc import Iterable, Sequence
from math import log2
from statistics import fmean
from typing import Final

import msgspec

from bench.report import percentile
from bench.search.places import Place, Query

DEPTH: Final = 10
"""Results that count."""
MEASURES: Final = ("hit@1", "hit@5", "MRR", "nDCG@10", "recall@5")
_DRAWS: Final = 1_000


class Score(msgspec.Struct, frozen=True):
    """Of one question, or the mean over many."""

    hit_1: float
    hit_5: float
    reciprocal_rank: float
    ndcg_10: float
    recall_5: float

    def of(self, measure: str) -> float:
        """By the name of a measure."""
        return dict(zip(MEASURES, msgspec.structs.astuple(self), strict=True))[measure]


def credited(found: Sequence[Place], answers: Sequence[Place]) -> list[int]:
    """Ranks, from 1, of the results that are credited with an answer."""
    left = list(answers)
    ranks: list[int] = []
    for rank, place in enumerate(found[:DEPTH], 1):
        answer = next((one for one in left if place.overlaps(one)), None)
        if answer is not None:
            left.remove(answer)
            ranks.append(rank)
    return ranks


def score(found: Sequence[Place], query: Query) -> Score:
    """How well `found`, best first, answers the question."""
    ranks = credited(found, query.answers)
    ideal = sum(1 / log2(1 + rank) for rank in range(1, min(DEPTH, len(query.answers)) + 1))
    return Score(
        hit_1=float(bool(ranks) and ranks[0] == 1),
        hit_5=float(bool(ranks) and ranks[0] <= 5),
        reciprocal_rank=1 / ranks[0] if ranks else 0.0,
        ndcg_10=sum(1 / log2(1 + rank) for rank in ranks) / ideal,
        recall_5=sum(rank <= 5 for rank in ranks) / len(query.answers),
    )


def mean(scores: Iterable[Score]) -> Score:
    """Measure by measure."""
    return Score(*(fmean(column) for column in zip(*map(msgspec.structs.astuple, scores), strict=True)))


def by_file(found: Iterable[Place]) -> list[Place]:
    """The files of a list, each where it comes first: what counts where a file is asked for."""
    return [Place(path) for path in dict.fromkeys(place.path for place in found)]


def interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Where the mean difference lies with 95 %: a bootstrap over the questions, which both were asked."""
    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    rng = random.Random(len(differences))
    means = [fmean(rng.choices(differences, k=len(differences))) for _ in range(_DRAWS)]
    return percentile(means, 0.025), percentile(means, 0.975)
