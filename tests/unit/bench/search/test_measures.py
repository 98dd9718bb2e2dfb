"""Measures agree with what the formulas give by hand."""

from math import log2

import pytest

from bench.search.measures import DEPTH, MEASURES, Score, by_file, credited, interval, mean, score
from bench.search.places import Place, Query

RIGHT = Place("a.py", 10, 20)
WRONG = Place("b.py", 1, 50)


def query(*answers: Place) -> Query:
    return Query("anything", answers)


def test_the_first_right_result_gives_rank_and_hits() -> None:
    found = [WRONG, Place("a.py", 1, 9), Place("a.py", 20, 40)]
    scored = score(found, query(RIGHT))
    assert scored == Score(
        hit_1=0.0, hit_5=1.0, reciprocal_rank=pytest.approx(1 / 3), ndcg_10=pytest.approx(1 / log2(4)), recall_5=1.0
    )
    assert score([RIGHT], query(RIGHT)) == Score(1.0, 1.0, 1.0, 1.0, 1.0)
    assert score([], query(RIGHT)) == Score(0.0, 0.0, 0.0, 0.0, 0.0)


def test_an_answer_is_credited_once_and_each_result_once() -> None:
    pieces = [Place("a.py", 10, 12), Place("a.py", 13, 20), WRONG]
    assert credited(pieces, [RIGHT]) == [1]
    assert credited([Place("a.py", 1, 99)], [RIGHT, Place("a.py", 30, 40)]) == [1]
    assert credited([pieces[0], WRONG], [RIGHT, WRONG]) == [1, 2]


def test_ndcg_and_recall_of_several_answers() -> None:
    answers = (Place("a.py", 1, 5), Place("b.py", 1, 5), Place("c.py", 1, 5))
    nothing = Place("x.py", 1, 5)
    found = [nothing, answers[1], nothing, nothing, nothing, nothing, answers[0]]
    scored = score(found, query(*answers))
    ideal = 1 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert scored.ndcg_10 == pytest.approx((1 / log2(3) + 1 / log2(8)) / ideal)
    assert scored.recall_5 == pytest.approx(1 / 3)
    assert (scored.hit_1, scored.hit_5, scored.reciprocal_rank) == (0.0, 1.0, 0.5)


def test_what_lies_below_the_tenth_place_counts_nothing() -> None:
    scored = score([WRONG] * DEPTH + [RIGHT], query(RIGHT))
    assert scored == Score(0.0, 0.0, 0.0, 0.0, 0.0)
    assert score([WRONG] * (DEPTH - 1) + [RIGHT], query(RIGHT)).reciprocal_rank == pytest.approx(0.1)


def test_lines_must_overlap_and_files_must_be_the_same() -> None:
    assert Place("a", 1, 5).overlaps(Place("a", 5, 9))
    assert not Place("a", 1, 5).overlaps(Place("a", 6, 9))
    assert not Place("a", 1, 5).overlaps(Place("b", 1, 5))
    assert Place("a", 400, 500).overlaps(Place("a"))


def test_a_file_counts_where_it_comes_first() -> None:
    found = [Place("a", 1, 5), Place("b", 1, 5), Place("a", 9, 12), Place("c", 2, 3)]
    assert [place.path for place in by_file(found)] == ["a", "b", "c"]
    assert credited(by_file(found), [Place("c")]) == [3]


def test_the_mean_is_one_of_each_measure() -> None:
    both = mean([Score(1, 1, 1, 1, 1), Score(0, 1, 0.5, 0.25, 0)])
    assert [both.of(measure) for measure in MEASURES] == [0.5, 1.0, 0.75, 0.625, 0.5]


def test_the_interval_holds_the_mean_difference_and_is_the_same_each_time() -> None:
    ours, theirs = [1.0, 0.5, 1.0, 0.0] * 20, [0.5, 0.5, 1.0, 0.0] * 20
    low, high = interval(ours, theirs)
    assert 0 < low < 0.125 < high < 0.25
    assert interval(ours, theirs) == (low, high)
    assert interval(theirs, theirs) == (0.0, 0.0)
