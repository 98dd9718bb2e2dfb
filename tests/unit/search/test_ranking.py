"""What comes first: by meaning, where that counts beside the words, and by names."""

from collections.abc import Sequence

import msgspec

from bawn.search.backend import Statistics
from bawn.search.documents import FIELDS, IndexDocument, Kind, field_words
from bawn.search.query import read_query
from bawn.search.ranking import MEANING_AMONG, rank

QUESTION = read_query("how long until the next attempt")


def document(path: str, text: str, kind: Kind = "source") -> IndexDocument:
    return IndexDocument(
        repo="app", branch="main", path=path, blob="b", commit="", kind=kind, language="python", start_line=1,
        end_line=9, context="", symbols=[], text=text, words=field_words(path, "", [], text),
    )  # fmt: skip


def statistics(documents: Sequence[IndexDocument]) -> Statistics:
    return Statistics(len(documents), dict.fromkeys(FIELDS, 5.0), dict.fromkeys(QUESTION.words, 1))


def paths(documents: Sequence[IndexDocument], near: dict[str, float] | None) -> list[str]:
    def similarities(asked: Sequence[IndexDocument]) -> list[float | None]:
        assert near is not None
        return [near.get(one.path) for one in asked]

    chosen = None if near is None else similarities
    return [one.document.path for one in rank(QUESTION, documents, statistics(documents), 10, chosen)]


# Which of these is about waiting is nothing that its words say.
A, B, C = (document(f"{name}.py", "attempt of something, next to nothing") for name in "abc")


def test_of_two_that_have_the_same_words_the_nearer_comes_first() -> None:
    assert paths([A, B, C], None) == ["a.py", "b.py", "c.py"]
    assert paths([A, B, C], {"a.py": 0.1, "b.py": 0.9, "c.py": 0.5}) == ["b.py", "c.py", "a.py"]


def test_words_that_say_it_outweigh_a_nearness_that_only_hints() -> None:
    said = document("said.py", "how long until the next attempt: long until next attempt")
    assert paths([A, said], {"a.py": 0.8, "said.py": 0.3})[0] == "said.py"


def test_without_any_vector_the_words_alone_rank_and_without_some_those_are_in_the_middle() -> None:
    assert paths([A, B, C], {}) == paths([A, B, C], None)
    assert paths([A, B, C], {"a.py": 0.1, "c.py": 0.9}) == ["c.py", "b.py", "a.py"]
    assert paths([A, B, C], dict.fromkeys(("a.py", "b.py", "c.py"), 0.4)) == ["a.py", "b.py", "c.py"]


def test_a_test_that_is_near_does_not_come_before_a_source_that_is_as_near() -> None:
    test = document("test_a.py", A.text, "test")
    assert paths([test, A], {"test_a.py": 0.9, "a.py": 0.9}) == ["a.py", "test_a.py"]


def test_what_only_declares_comes_after_the_code_that_it_declares() -> None:
    declared = document("a.pyi", A.text)
    assert paths([declared, B], None) == ["b.py", "a.pyi"]


def test_code_from_the_inside_of_something_long_is_not_behind_for_having_no_name() -> None:
    inside, named = document("inside.py", A.text), msgspec.structs.replace(A, symbols=["unrelated"])
    assert paths([named, inside], None) == ["inside.py", "a.py"]


def test_one_rare_word_does_not_outweigh_several_that_are_less_rare() -> None:
    query = read_query("retry backoff jitter")
    of = Statistics(10_000, dict.fromkeys(FIELDS, 5.0), {"retry": 200, "backoff": 200, "jitter": 2})
    rare, several = document("rare.py", "jitter and more of it"), document("several.py", "retry backoff of it here")
    assert rank(query, [rare, several], of, 2)[0].document.path == "several.py"


def test_the_meaning_is_asked_for_no_more_than_the_likeliest() -> None:
    many = [document(f"{number:04}.py", "next attempt") for number in range(MEANING_AMONG + 50)]
    asked: list[int] = []

    def similarities(some: Sequence[IndexDocument]) -> list[float | None]:
        asked.append(len(some))
        return [0.5] * len(some)

    ranked = rank(QUESTION, many, statistics(many), len(many), similarities)
    assert asked == [MEANING_AMONG]
    assert len(ranked) == len(many)


def test_what_has_the_name_that_is_asked_for_comes_before_what_has_parts_of_it() -> None:
    called = document("test_push.py", "check(pushed_at_night())", "test")
    parts = [document(f"{name}.py", "pushed yesterday, and at night not pushed") for name in "abc"]

    def first(asked: str) -> str:
        query = read_query(asked)
        frequency = {word: 4 if word in ("pushed", "night", "at") else 1 for word in query.words}
        of = Statistics(1_000, dict.fromkeys(FIELDS, 5.0), frequency)
        return rank(query, [*parts, called], of, 10)[0].document.path

    assert first("pushed_at_night") == "test_push.py"
    assert first("pushed at night") == "a.py", "in words it is code that is looked for"


def test_the_best_are_the_same_however_many_are_wanted() -> None:
    # Files of one to six chunks, each chunk with the word some times among others: five of a file count, each less.
    documents = [
        document(f"f{file}.py", f"chunk{number} " + "retry " * (1 + file * number % 5) + "other " * (file % 7))
        for file in range(40)
        for number in range(1 + file % 6)
    ]
    query, counted = read_query("retry"), Statistics(len(documents), dict.fromkeys(FIELDS, 5.0), {"retry": 9})
    everything = rank(query, documents, counted, len(documents))
    assert len(everything) > 60
    for limit in range(1, len(everything)):
        assert rank(query, documents, counted, limit) == everything[:limit]


def test_a_file_that_speaks_of_it_in_many_places_comes_before_one_with_a_better_place() -> None:
    often = [document("often.py", f"{one} {QUESTION.words[0]} attempt and more of it") for one in "abcdef"]
    once = document("once.py", f"{QUESTION.words[0]} attempt, in short")
    alone = paths([*often[:1], once], None)
    assert alone == ["once.py", "often.py"]
    assert paths([*often, once], None)[0] == "often.py"
