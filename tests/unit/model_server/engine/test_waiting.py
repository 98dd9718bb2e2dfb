"""Who gets the next slot."""

from collections import Counter
from typing import Any

import pytest

from bawn.contracts.errors import Overloaded
from bawn.model_server.engine.sequence import GenerationRequest, Output, Sequence
from bawn.model_server.engine.waiting import AGE_S, WaitingLine


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line(clock: Clock) -> WaitingLine:
    return WaitingLine(100, 2, now=clock)


def waiting(line: WaitingLine, clock: Clock, **request: Any) -> Sequence:
    def ignore(_: Output) -> None:
        pass

    sequence = Sequence(GenerationRequest(tokens=[1], **request), ignore)
    sequence.progress.submitted = clock()
    clock.seconds += 0.001
    line.join(sequence)
    return sequence


def order(line: WaitingLine, at_work: Counter[str] | None = None) -> list[Sequence]:
    """Everybody in the order in which they get a slot, none of which becomes free again."""
    served: list[Sequence] = []
    counts = Counter(at_work or {})
    while (sequence := line.next(counts)) is not None:
        assert line.leave(sequence, served=True)
        counts[sequence.request.user] += 1
        served.append(sequence)
    return served


def test_autocomplete_goes_before_chat_and_chat_before_the_background(line: WaitingLine, clock: Clock) -> None:
    background = waiting(line, clock, kind="background")
    chat = waiting(line, clock, kind="chat")
    fim = waiting(line, clock, kind="fim")
    assert order(line) == [fim, chat, background]


def test_users_take_turns_however_many_requests_one_has(line: WaitingLine, clock: Clock) -> None:
    greedy = [waiting(line, clock, user="ada") for _ in range(5)]
    modest = waiting(line, clock, user="bob")
    assert order(line)[:3] == [greedy[0], modest, greedy[1]]


def test_whoever_has_a_slot_already_waits_for_those_who_have_none(line: WaitingLine, clock: Clock) -> None:
    ada, bob = waiting(line, clock, user="ada"), waiting(line, clock, user="bob")
    assert order(line, Counter(ada=1)) == [bob, ada]


def test_nobody_waits_for_ever(line: WaitingLine, clock: Clock) -> None:
    background = waiting(line, clock, kind="background")
    for _ in range(100):
        fim = waiting(line, clock, kind="fim")
        first = line.next(Counter())
        assert first is not None
        if first is background:
            break
        assert line.leave(fim, served=True)
        clock.seconds += 1
    assert 2 * AGE_S <= clock.seconds - 1000 <= 2 * AGE_S + 2


def test_who_gave_up_a_slot_goes_first_in_their_class(line: WaitingLine, clock: Clock) -> None:
    preempted = waiting(line, clock)
    line.leave(preempted)
    preempted.progress.generated_tokens = 5
    other = waiting(line, clock)
    line.rejoin(preempted)
    assert order(line) == [preempted, other]


def test_a_full_line_and_one_that_takes_too_long_are_refused_with_the_seconds_to_wait(clock: Clock) -> None:
    line = WaitingLine(2, 1, now=clock)
    for _ in range(2):
        waiting(line, clock)
    with pytest.raises(Overloaded) as full:
        waiting(line, clock)
    assert int(full.value.headers["retry-after"]) >= 3
    slow = WaitingLine(100, 1, max_wait_s=30, now=clock)
    for _ in range(40):
        slow.served(20.0)
    waiting(slow, clock)
    with pytest.raises(Overloaded, match="too long") as refused:
        waiting(slow, clock)
    assert 35 <= int(refused.value.headers["retry-after"]) <= 41
