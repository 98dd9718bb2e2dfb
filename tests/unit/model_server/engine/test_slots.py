from hypothesis import given
from hypothesis import strategies as st

from bawn.model_server.engine.slots import Slot, choose, common_prefix

tokens = st.lists(st.integers(0, 2), max_size=600)


def slot(number: int, held: list[int], used: int = 0) -> Slot:
    made = Slot(number)
    made.held, made.used = held, used
    return made


@given(tokens, tokens, tokens)
def test_the_common_prefix_is_the_longest(shared: list[int], a: list[int], b: list[int]) -> None:
    a, b = shared + a, shared + b
    size = common_prefix(a, b)
    assert size >= len(shared)
    assert a[:size] == b[:size]
    assert size == min(len(a), len(b)) or a[size] != b[size]


def test_the_slot_with_the_longest_match_is_chosen() -> None:
    idle = [slot(0, [1, 2]), slot(1, [1, 2, 3, 4]), slot(2, [])]
    assert choose(idle, [1, 2, 3, 9, 9]) == (idle[1], 3)


def test_the_last_token_of_a_prompt_is_fed_again() -> None:
    idle = [slot(0, [1, 2, 3, 4])]
    assert choose(idle, [1, 2, 3]) == (idle[0], 2)


def test_a_trifling_match_does_not_cost_a_long_session_its_slot() -> None:
    idle = [slot(0, list(range(100)), used=5), slot(1, [77], used=9), slot(2, [], used=0)]
    assert choose(idle, [0, *[500] * 50]) == (idle[2], 0)


def test_without_a_match_the_slot_that_was_busy_longest_ago_is_chosen() -> None:
    idle = [slot(0, [1] * 9, used=5), slot(1, [2] * 9, used=3)]
    assert choose(idle, [7] * 9) == (idle[1], 0)
