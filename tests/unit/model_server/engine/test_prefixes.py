"""What host memory keeps of prompts, and what goes first."""

import numpy as np
import pytest

from bawn.model_server.engine.memory import NOTHING, Bytes
from bawn.model_server.engine.prefixes import AGE_S, PrefixTree, Segment

SYSTEM = list(range(1000))
DATA, STATE = 100, 2000
"""Bytes of keys and values of a segment, and of a checkpoint."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree(clock: Clock) -> PrefixTree:
    """Of a model with recurrent layers, without a limit yet."""
    return PrefixTree(1 << 30, whole=True, now=clock)


def some(size: int) -> Bytes:
    return np.zeros(size, np.uint8)


def chain(tree: PrefixTree, session: int, turns: int, size: int = 10) -> list[Segment]:
    """A session after the system prompt; each turn ends at a checkpoint."""
    last = tree.end_of(SYSTEM) or tree.add(None, SYSTEM, some(DATA), some(STATE))
    segments: list[Segment] = []
    for turn in range(turns):
        last = tree.add(last, [10_000 * session + turn] * size, some(DATA), some(STATE))
        segments.append(last)
    return segments


def tokens(segments: list[Segment]) -> list[int]:
    return [token for one in segments[-1].chain for token in one.tokens]


def trim_by(tree: PrefixTree, size: int, keep: Segment | None = None, *, closing: bool = False) -> None:
    tree.limit = tree.bytes - size
    tree.trim(keep=keep, closing=closing)
    assert tree.bytes <= tree.limit
    assert tree.bytes == sum(one.bytes for one in tree.segments())


def test_a_chain_is_gone_on_from_where_its_last_checkpoint_is(tree: PrefixTree) -> None:
    first, second, third = chain(tree, 1, 3)
    trim_by(tree, 1)
    assert [len(one.state) for one in (first, second, third)] == [0, STATE, STATE]
    whole = [*tokens([third]), 7]
    assert tree.match(whole, len(whole)).length == third.end
    # Its end is cut off: the checkpoint before it is the one to go on from.
    assert tree.match(whole, third.end - 1).length == second.end
    # There is none at the first turn's end.
    assert tree.match(whole, second.end - 1).length == len(SYSTEM)
    assert tree.match(whole, second.end - 1).path[-1].tokens == SYSTEM
    # What is parked is known, whether there is a checkpoint at its end or not.
    assert tree.end_of(whole[: first.end]) is first


def test_the_last_but_one_and_the_first_checkpoint_stay_longest(tree: PrefixTree) -> None:
    turns = chain(tree, 1, 6)
    assert not tree.full
    trim_by(tree, 3 * STATE)
    assert tree.full
    assert [bool(len(one.state)) for one in turns] == [False] * 3 + [True] * 3
    trim_by(tree, 2 * STATE)
    assert [bool(len(one.state)) for one in turns] == [False] * 5 + [True]
    assert len(turns[0].chain[0].state) == STATE
    assert tree.match(tokens(turns), turns[-1].end).length == turns[-1].end


def test_of_sessions_in_turn_the_one_that_was_here_last_goes_and_leaves_nothing_behind(tree: PrefixTree) -> None:
    sessions = [chain(tree, number, 4) for number in (1, 2, 3)]
    parked = chain(tree, 4, 1)
    inner = 3 * 3 * STATE
    trim_by(tree, inner + 1, keep=parked[-1])
    kept = [tree.match(tokens(of), of[-1].end).length == of[-1].end for of in [*sessions, parked]]
    assert kept == [True, True, False, True]
    # Of the third session, nothing is there but what others share.
    assert len(tree) == 1 + 4 + 4 + 1


def test_whoever_has_rested_for_long_goes_first(tree: PrefixTree, clock: Clock) -> None:
    rested, other = chain(tree, 1, 1), chain(tree, 2, 1)
    clock.now += AGE_S
    recent = chain(tree, 3, 1)
    tree.match(tokens(other), other[-1].end)
    trim_by(tree, 1)
    kept = [tree.end_of(tokens(of)) is of[-1] for of in (rested, other, recent)]
    assert kept == [False, True, True]


def test_before_the_end_what_was_used_last_is_kept(tree: PrefixTree) -> None:
    sessions = [chain(tree, number, 1) for number in range(4)]
    tree.match(tokens(sessions[0]), sessions[0][-1].end)
    trim_by(tree, sessions[1][-1].bytes + 1, closing=True)
    assert [tree.end_of(tokens(of)) is of[-1] for of in sessions] == [True, False, False, True]
    assert tree.latest() == [sessions[0][-1], sessions[3][-1]]


def test_what_others_take_of_the_limit_counts(tree: PrefixTree) -> None:
    chain(tree, 1, 3)
    tree.limit = tree.bytes
    tree.trim()
    assert not tree.full
    tree.trim(beside=2 * STATE)
    assert tree.bytes <= tree.limit - 2 * STATE


def test_one_chain_that_is_over_the_limit_alone_goes_as_a_whole(tree: PrefixTree) -> None:
    last = chain(tree, 1, 2)[-1]
    tree.limit = 0
    tree.trim(keep=last)
    assert len(tree) == 0
    assert tree.bytes == 0


def test_a_model_that_can_be_cut_anywhere_loses_ends(clock: Clock) -> None:
    tree = PrefixTree(1 << 30, whole=False, now=clock)
    first = tree.add(None, [1] * 100, some(DATA), NOTHING)
    deep = tree.add(first, [2] * 100, some(DATA), NOTHING)
    tree.add(None, [3] * 100, some(DATA), NOTHING)
    trim_by(tree, 1)
    assert tree.match([*first.tokens, *deep.tokens], 150).length == 100
    # Half of a segment is of use here.
    assert tree.match([3] * 50 + [4], 51).length == 50
