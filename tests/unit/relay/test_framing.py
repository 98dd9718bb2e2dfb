"""Event borders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.relay.framing import MAX_EVENT_BYTES, Framer


def test_a_whole_event_passes_untouched() -> None:
    chunk = b'data: {"a": 1}\n\n'
    assert Framer().feed(chunk) is chunk


def test_half_an_event_is_held_until_the_rest_comes() -> None:
    framer = Framer()
    assert framer.feed(b"data: 1\n\ndata: ha") == b"data: 1\n\n"
    assert framer.rest == b"data: ha"
    assert framer.feed(b"lf\n\n") == b"data: half\n\n"
    assert framer.rest == b""


def test_borders_may_be_written_with_crlf_and_lie_across_chunks() -> None:
    framer = Framer()
    assert framer.feed(b"data: 1\r\n\r") == b""
    assert framer.feed(b"\ndata: 2\r\n\r\n") == b"data: 1\r\n\r\ndata: 2\r\n\r\n"


def test_an_event_without_end_is_refused_in_the_end() -> None:
    framer = Framer()
    blocks = [b"x" * (1 << 20)] * (MAX_EVENT_BYTES // (1 << 20) + 1)
    with pytest.raises(ValueError, match="too large"):
        assert not any(framer.feed(block) for block in blocks)


@given(st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b and b"\r" not in b), max_size=8), st.data())
def test_however_the_stream_is_cut_nothing_is_lost_and_only_whole_events_pass(
    events: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(b"data: " + e + b"\n\n" for e in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    framer = Framer()
    out = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        passed = framer.feed(stream[start:end])
        assert passed == b"" or passed.endswith(b"\n\n")
        out += passed
    assert out == stream
