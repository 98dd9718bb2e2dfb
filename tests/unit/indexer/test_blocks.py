from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.indexer.chunking import LARGEST, Piece, chunk

ORDERS = dedent("""
    syntax = "proto3";
    package shop.orders;

    // An order, with "braces {" in a comment.
    message Order {
      int64 id = 1;
      string note = 2 [default = "}"];
      enum State { OPEN = 0; CLOSED = 1; }
      message Line { string sku = 1; }
      oneof paid { string card = 3; }
    }

    service Orders {
      rpc Load (LoadRequest) returns (Order);
      rpc Watch (WatchRequest) returns (stream Order) {
        option (http) = { get: "/v1/orders" };
      }
    }
""")


def _symbols(pieces: list[Piece]) -> list[str]:
    return [symbol for piece in pieces for symbol in piece.symbols]


def test_messages_services_and_calls_of_protocol_buffers_are_symbols() -> None:
    assert _symbols(chunk(ORDERS, "protobuf")) == ["Order", "State", "Line", "Orders", "Load", "Watch"]


def test_parts_of_a_big_message_know_it_and_what_follows_does_not() -> None:
    fields = "".join(f"  string field_number_{n} = {n};  // it's described here\n" for n in range(1, 90))
    pieces = chunk(f"message Big {{\n{fields}}}\n\nmessage After {{\n{fields}}}\n", "protobuf")
    assert all(len(piece.text) <= LARGEST for piece in pieces)
    (after,) = [n for n, piece in enumerate(pieces) if "After" in piece.symbols]
    assert after > 2
    assert pieces[0].symbols == ["Big"]
    assert {piece.context for piece in pieces[1:after]} == {"Big"}
    assert pieces[after].context == ""
    assert pieces[after].text.startswith("message After")
    assert {piece.context for piece in pieces[after + 1 :]} == {"After"}


def test_a_block_that_is_nested_in_a_big_one_is_not_cut() -> None:
    fields = "".join(f"    string field_number_{n} = {n};\n" for n in range(40))
    nested = "".join(f"  message Part{n} {{\n{fields}  }}\n\n" for n in range(4))
    pieces = chunk(f"message Big {{\n{nested}}}\n", "protobuf")
    for n in range(4):
        (part,) = [piece for piece in pieces if f"Part{n}" in piece.symbols]
        assert part.text.count("string field") == 40
        assert n == 0 or part.context == "Big"


def test_mixins_of_style_sheets_and_types_of_other_languages_are_symbols() -> None:
    style = "@mixin round-box($r) { border: $r; }\n@function twice($x) { @return $x * 2; }\n"
    assert _symbols(chunk(style, "scss")) == ["round-box", "twice"]
    schema = "type Order implements Node {\n  id: ID!\n}\nenum State { OPEN }\n"
    assert _symbols(chunk(schema, "graphql")) == ["Order", "State"]


@pytest.mark.parametrize("text", [ORDERS * 30, "{" * 5_000, "}\n" * 500, "{\n" * 5_000 + "}\n" * 5_000, "/*" * 20_000])
def test_chunks_leave_no_line_out(text: str) -> None:
    assert "\n".join(piece.text for piece in chunk(text, "protobuf")) == text.removesuffix("\n")


@given(st.text(alphabet=st.sampled_from("message A{}{}{}\n\n \"'/*\\x"), max_size=4_000))
def test_chunks_cover_whatever_the_text_is(text: str) -> None:
    pieces = chunk(text, "protobuf")
    assert "\n".join(piece.text for piece in pieces) == text.removesuffix("\n")
    assert [piece.start_line for piece in pieces[1:]] == [piece.end_line + 1 for piece in pieces[:-1]]
