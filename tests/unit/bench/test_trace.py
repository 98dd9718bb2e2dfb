"""The sessions that are sent: they grow as they should, and change where they should."""

import itertools
import random

from bench.model.trace import MESSAGE_TOKENS, Message, Trace, code, trace


def measure(text: str) -> int:
    return len(text) // 4


def session(seed: int = 1, **more: int) -> Trace:
    return trace(seed, measure, turns=20, first=2000, last=12000, **more)


def tokens(made: Trace, messages: list[Message]) -> int:
    texts = [str(message["content"]) + str(message.get("tool_calls", "")) for message in messages]
    return measure(str(made.tools)) + sum(measure(text) + MESSAGE_TOKENS for text in texts)


def test_a_session_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert session() == session()
    assert session() != session(2)


def test_each_turn_begins_with_the_one_before() -> None:
    turns = session().turns
    assert len(turns) == 20
    for before, after in itertools.pairwise(turns):
        assert after[: len(before)] == before
        assert [message["role"] for message in after[len(before) :]] == ["assistant", "tool"]


def test_turns_grow_evenly_from_the_first_size_to_the_last() -> None:
    made = session()
    sizes = [tokens(made, messages) for messages in made.turns]
    assert 1800 < sizes[0] < 2300
    assert 11000 < sizes[-1] < 13000
    assert all(300 < after - before < 800 for before, after in itertools.pairwise(sizes))


def test_sessions_of_one_team_share_the_system_prompt_and_nothing_else() -> None:
    one, other = session(1, system_seed=9), session(2, system_seed=9)
    # The system prompt is cut to what the task leaves of the first turn, so its end may differ.
    a, b = (str(made.turns[0][0]["content"]) for made in (one, other))
    assert a.startswith(b) or b.startswith(a)
    assert one.turns[0][1] != other.turns[0][1]
    assert one.turns[-1][3] != other.turns[-1][3]


def test_an_edit_changes_one_message_in_the_middle_and_leaves_the_session_alone() -> None:
    made = session()
    last = [dict(message) for message in made.turns[-1]]
    edited = made.edited(0.5, random.Random(1))
    differ = [at for at, (one, other) in enumerate(zip(last, edited, strict=True)) if one != other]
    assert len(differ) == 1
    assert 0.4 < differ[0] / len(last) < 0.6
    assert edited[differ[0]]["role"] == "tool"
    assert made.turns[-1] == last


def test_two_long_texts_share_no_beginning() -> None:
    one, other = code(1, 3000, measure), code(2, 3000, measure)
    assert one[:60] != other[:60]
    assert 3000 <= measure(one) < 3300
