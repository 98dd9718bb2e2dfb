"""Edits of JSON with comments."""

import json
import string
from typing import Any

import json5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.bridge.clients.client import BrokenFile
from bawn.bridge.clients.jsonc import Jsonc

FILE = """{
    // who I am
    "theme": "da\\"rk, }", // trailing words
    "provider": {
        /* mine */
        "x": { "a": -1.5, "b": [1, 2,], "é😀": "😀" }, // odd ones
    },
    'agent': {}, k: null
    // the end
}
"""


def test_a_new_member_stands_at_the_end_and_every_old_line_stays() -> None:
    document = Jsonc(FILE)
    document.set(("mcp", "bawn"), {"a": [1, {"b": 2}]})
    added = (
        '    "mcp": {\n        "bawn": {\n            "a": [\n                1,\n                {\n'
        '                    "b": 2\n                }\n            ]\n        }\n    }\n}\n'
    )
    assert document.text == FILE.replace("k: null", "k: null,").removesuffix("}\n") + added


def test_a_trailing_comma_is_enough() -> None:
    document = Jsonc(FILE)
    document.set(("provider", "y"), 1)
    assert '// odd ones\n        "y": 1,\n    },\n' in document.text


def test_an_empty_object_and_one_on_a_single_line_take_members() -> None:
    document = Jsonc(FILE)
    document.set(("agent", "z"), True)
    assert "'agent': {\n        \"z\": true\n    }, k: null" in document.text
    single = Jsonc('{ "a": 1 }')
    single.set(("b",), 2)
    assert json.loads(single.text) == {"a": 1, "b": 2}


def test_a_value_is_replaced_where_it_stands() -> None:
    document = Jsonc(FILE)
    document.set(("provider", "x"), "new")
    assert document.text == FILE.replace('{ "a": -1.5, "b": [1, 2,], "é😀": "😀" }', '"new"')


def test_the_same_value_changes_nothing() -> None:
    document = Jsonc(FILE)
    document.set(("provider", "x", "b"), [1, 2])
    assert document.text == FILE


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        "{}",
        "{\n}\n",
        '{"a": 1}',
        '{"a": 1,}',
        '{\r\n  "a": 1\r\n}\r\n',
        '{\n\t"a": 1 // c\n}\n',
        '// first\n{ "provider": {"x": 1 /* last */} } // after\n',
        "{ /* nothing */ }",
    ],
)
def test_what_was_added_can_be_taken_out_and_the_user_keeps_all_they_had(text: str) -> None:
    document = Jsonc(text)
    document.set(("zz",), {"k": 1})
    document.set(("yy",), "v")
    document.remove(("zz",))
    document.remove(("yy",))
    assert document.data == json5.loads(text)
    assert "".join(document.text.split()).replace(",}", "}") == "".join(text.split()).replace(",}", "}")


@pytest.mark.parametrize("key", ["\\x", "\\x41", "C:\\users\\new", '\\\\"', "\\u0041", "a\\"])
def test_backslashes_are_what_json_says_they_are(key: str) -> None:
    text = json.dumps({key: {key: [key]}}) + " // \\x"
    document = Jsonc(text)
    assert document.data == {key: {key: [key]}}
    document.set((key, "new"), key)
    assert document.data == {key: {key: [key], "new": key}}
    document.remove((key,))
    assert document.data == {}


def test_a_comment_beside_what_goes_stays() -> None:
    document = Jsonc('{\n  "a": 1, // one\n  "b": 2, // two\n  // before c\n  "c": 3 // three\n}\n')
    document.remove(("b",))
    document.remove(("c",))
    assert document.data == {"a": 1}
    for comment in ("// one", "// two", "// before c", "// three"):
        assert comment in document.text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n "a": 1\n "b": 2}', "line 3"),
        ('{"a": }', "line 1"),
        ('{\n\n"a": 1,, }', "line 3"),
        ("[1]", "line 1"),
        ('{"a": 1} x', "line 1"),
        ('{"a": ', "line 1"),
        ('{"a": "x\n"}', "line 1"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(BrokenFile, match=place):
        Jsonc(text)


def test_a_value_in_the_way_is_refused() -> None:
    with pytest.raises(BrokenFile, match="line 2: expected `provider`"):
        Jsonc('{\n "provider": 3 }').set(("provider", "bawn"), 1)


_names = st.text(string.ascii_letters + ' "\\/é😀,}{', min_size=1, max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(' ab"\\/,}]é😀', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(_names, _values, max_size=4), _names, _values, st.sampled_from([None, 2, "\t"]))
def test_setting_and_removing_agree_with_a_dictionary(
    data: dict[str, Any], name: str, value: Any, indent: int | str | None
) -> None:
    document = Jsonc(json.dumps(data, indent=indent, ensure_ascii=False))
    document.set((name,), value)
    assert document.data == {**data, name: value}
    document.remove((name,))
    assert document.data == {key: kept for key, kept in data.items() if key != name}
