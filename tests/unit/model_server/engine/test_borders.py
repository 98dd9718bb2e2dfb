"""Where a prompt is cut for models that can't go back to anywhere."""

from collections.abc import Iterator

from bawn.model_server.engine.sequence import LEAST_GAP, WIDENING, GenerationRequest, Sequence


def places(length: int, borders: tuple[int, ...]) -> list[int]:
    sequence = Sequence(GenerationRequest(tokens=[0] * length, borders=borders), lambda _output: None)

    def found() -> Iterator[int]:
        at = 0
        while (border := sequence.next_border(at)) is not None:
            yield border
            at = border

    return list(found())


def test_near_the_end_every_message_is_a_place_to_go_back_to() -> None:
    borders = tuple(range(11_500, 12_000, 50))
    assert places(12_000, (2_000, *borders)) == [2_000, *borders]


def test_far_from_the_end_places_lie_apart_and_what_is_fed_again_stays_a_small_part() -> None:
    borders = (*range(100, 12_000, 100), 11_999)
    found = places(12_000, borders)
    assert found[0] == 100, "the system prompt, which others begin with, too"
    assert found[-1] == 11_999, "where the answer begins"
    assert len(found) < len(borders) // 2
    for border in borders:
        before = max(place for place in found if place <= border)
        assert border - before <= (12_000 - border) / WIDENING + 100


def test_messages_of_a_few_words_are_no_places_but_for_the_last() -> None:
    assert places(300, (100, 110, 120, 133, 299)) == [100, 133, 299]
    assert places(LEAST_GAP, ()) == []
    assert places(LEAST_GAP + 1, ()) == [LEAST_GAP]
