"""When a token goes to the event loop at once, and when it waits for the next one."""

from collections.abc import Callable

import pytest

from bawn.contracts.errors import InternalError
from bawn.model_server.engine import outbox
from bawn.model_server.engine.generation import Generation
from bawn.model_server.engine.outbox import GATHERED_S, Outbox
from bawn.model_server.engine.sampling import Sampling
from bawn.model_server.engine.sequence import GenerationRequest, Output
from bawn.model_server.poster import Poster


class Post(Poster):
    """Calls at once, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def post(self, call: Callable[..., None], *args: object) -> None:
        self.calls += 1
        call(*args)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(outbox, "monotonic", lambda: now[0])
    return now


def generation() -> Generation:
    return Generation(GenerationRequest(tokens=[1], max_tokens=9, sampling=Sampling()), lambda _: None)


async def test_tokens_that_come_fast_are_handed_over_together_the_first_and_the_last_at_once(
    clock: list[float],
) -> None:
    post, one = Post(), generation()
    box, outputs = Outbox(post), one.outputs()

    def step(output: Output, seconds: float) -> int:
        clock[0] += seconds
        box.add(one.sequence, output)
        box.post()
        return post.calls

    assert step(Output("a"), 0.0) == 1
    assert (await anext(outputs)).text == "a"
    assert step(Output("b"), GATHERED_S / 2) == 1
    assert step(Output("c"), GATHERED_S / 2 + 0.001) == 2
    assert (await anext(outputs)).text == "bc"
    assert step(Output("d"), 0.001) == 2
    assert step(Output("e", finish="stop"), 0.001) == 3
    last = await anext(outputs)
    assert (last.text, last.finish) == ("de", "stop")
    assert step(Output("slow"), 10 * GATHERED_S) == 4
    assert step(Output("beside a prompt"), 0.001) == 4
    box.post(at_once=True)
    box.post(at_once=True)
    assert post.calls == 5


async def test_what_came_before_an_error_is_not_lost(clock: list[float]) -> None:
    post, one = Post(), generation()
    box, outputs = Outbox(post), one.outputs()
    for output in (Output("a"), Output("b"), Output(error=InternalError())):
        box.add(one.sequence, output)
    box.post()
    assert (await anext(outputs)).text == "ab"
    with pytest.raises(InternalError):
        await anext(outputs)
    assert clock == [100.0]


async def test_the_first_of_another_generation_takes_along_what_waits(clock: list[float]) -> None:
    post, old, new = Post(), generation(), generation()
    box = Outbox(post)
    box.add(old.sequence, Output("a"))
    box.post()
    clock[0] += 0.001
    box.add(old.sequence, Output("b"))
    box.add(new.sequence, Output("x"))
    box.post()
    assert post.calls == 2
    assert (await anext(old.outputs())).text == "ab"
    assert (await anext(new.outputs())).text == "x"
