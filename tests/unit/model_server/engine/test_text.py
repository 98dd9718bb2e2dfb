import itertools

from hypothesis import given
from hypothesis import strategies as st

from bawn.model_server.engine.text import TextStream


def run(data: bytes, cuts: list[int], stops: list[str]) -> tuple[list[str], TextStream]:
    stream = TextStream(stops)
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces: list[str] = []
    for start, end in itertools.pairwise(borders):
        pieces.append(stream.push(data[start:end]))
        if stream.stopped:
            return pieces, stream
    pieces.append(stream.end())
    return pieces, stream


@given(st.text(), st.lists(st.integers(0, 200)))
def test_text_cut_anywhere_comes_out_whole_and_never_splits_a_code_point(text: str, cuts: list[int]) -> None:
    pieces, _ = run(text.encode("utf-8", "replace"), cuts, [])
    assert "".join(pieces) == text.encode("utf-8", "replace").decode()


@given(
    st.text("abc", max_size=30),
    st.lists(st.integers(0, 60)),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
)
def test_nothing_of_a_stop_string_is_sent_and_nothing_else_is_lost(
    text: str, cuts: list[int], stops: list[str]
) -> None:
    pieces, stream = run(text.encode(), cuts, stops)
    sent = "".join(pieces)
    if any(stop in text for stop in stops):
        assert stream.stopped
        assert any(text.startswith(stop, len(sent)) for stop in stops)
        assert not any(stop in sent for stop in stops)
        assert text.startswith(sent)
    else:
        assert sent == text
        assert not stream.stopped


def test_only_what_could_begin_a_stop_string_is_held_back() -> None:
    stream = TextStream(["</end>"])
    assert stream.push(b"see <") == "see "
    assert stream.push(b"/en") == ""
    assert stream.push(b"try> now") == "</entry> now"


def test_half_a_code_point_at_the_end_is_dropped() -> None:
    stream = TextStream()
    assert stream.push(b"ab\xe2\x82") == "ab"
    assert stream.end() == ""


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert TextStream().push(b"a\xffb") == "a\ufffdb"
