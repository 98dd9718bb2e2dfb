from hypothesis import given
from hypothesis import strategies as st

from bawn.model_server.engine.slots import common_prefix

tokens = st.lists(st.integers(0, 2), max_size=600)


@given(tokens, tokens, tokens)
def test_the_common_prefix_is_the_longest(shared: list[int], a: list[int], b: list[int]) -> None:
    a, b = shared + a, shared + b
    size = common_prefix(a, b)
    assert size >= len(shared)
    assert a[:size] == b[:size]
    assert size == min(len(a), len(b)) or a[size] != b[size]
