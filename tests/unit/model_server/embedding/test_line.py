from array import array

import numpy as np
import pytest

from bawn.contracts.errors import Overloaded
from bawn.model_server.embedding.job import EmbeddingJob
from bawn.model_server.embedding.line import EmbeddingLine
from support.embedders import tokens_of


def job(*sizes: int) -> EmbeddingJob:
    return EmbeddingJob(tokens_of(*sizes))


def taken(line: EmbeddingLine, most_tokens: int = 100, most_inputs: int = 8) -> list[tuple[EmbeddingJob, int]]:
    return [(one, number) for one, number, _ in line.take(most_tokens, most_inputs)]


async def test_a_batch_is_filled_in_order_up_to_its_tokens_and_inputs() -> None:
    line, one = EmbeddingLine(8), job(*[30] * 5)
    line.join(one)
    assert taken(line) == [(one, 0), (one, 1), (one, 2)]
    assert taken(line, most_inputs=1) == [(one, 3)]
    assert taken(line) == [(one, 4)]
    assert taken(line) == []
    assert len(line) == 1  # until it is done
    line.leave(one)
    assert len(line) == 0


async def test_an_input_that_is_longer_than_a_batch_goes_alone() -> None:
    line, one = EmbeddingLine(8), job(10, 500, 10)
    line.join(one)
    assert [taken(line) for _ in range(3)] == [[(one, 0)], [(one, 1)], [(one, 2)]]


async def test_a_short_request_goes_before_a_long_one_that_came_first() -> None:
    line, indexing, query = EmbeddingLine(8), job(*[50] * 1000), job(20)
    line.join(indexing)
    assert taken(line) == [(indexing, 0), (indexing, 1)]
    line.join(query)
    assert taken(line) == [(query, 0), (indexing, 2)]  # and the rest of the batch is not wasted


async def test_a_long_request_gets_at_least_every_second_batch() -> None:
    line, indexing = EmbeddingLine(8), job(*[80] * 5)
    line.join(indexing)
    got: list[bool] = []
    while indexing.next_size is not None:
        query = job(90)  # a new one each time
        line.join(query)
        batch = taken(line)
        got.append(batch[0][0] is indexing)
        for one, _ in batch:
            if one is not indexing:
                line.leave(one)
    assert got == [False, True, False, True, False, True, False, True, True]  # at its end it is the shorter one


async def test_a_full_line_is_429_with_the_seconds_until_there_is_room() -> None:
    line = EmbeddingLine(2)
    line.took(1000, 10.0)
    line.took(1000, 10.0)
    line.join(job(500))
    line.join(job(500))
    with pytest.raises(Overloaded) as refused:
        line.join(job(1000))
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 1


async def test_who_would_wait_too_long_is_refused_and_who_would_not_is_taken() -> None:
    line = EmbeddingLine(8, max_wait_s=5)
    for _ in range(30):
        line.took(100, 1.0)
    line.join(job(*[100] * 100))  # nobody is before it, so that it is taken however long it is itself
    with pytest.raises(Overloaded, match="Too much"):
        line.join(job(*[100] * 101))
    line.join(job(100))


async def test_who_leaves_frees_the_place_and_is_computed_no_more() -> None:
    line, first, second = EmbeddingLine(1), job(10, 10), job(10)
    line.join(first)
    with pytest.raises(Overloaded):
        line.join(second)
    line.leave(first)
    line.leave(first)
    line.join(second)
    assert taken(line) == [(second, 0)]


async def test_a_job_tells_when_its_last_vector_is_there() -> None:
    one = EmbeddingJob([array("i", [1]), array("i", [2, 3])])
    assert (one.tokens, one.next_size) == (3, 1)
    one.take()
    one.take()
    assert (one.tokens_left, one.next_size) == (0, None)
    assert not one.put(1, np.ones(2, np.float32))
    assert one.put(0, np.zeros(2, np.float32))
    one.end()
    assert (await one.vectors()).tolist() == [[0, 0], [1, 1]]
