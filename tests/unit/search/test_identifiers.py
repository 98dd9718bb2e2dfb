import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.search.identifiers import MAX_WORD, fold, split_identifier, tokens, words


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [
        ("camelCase", ("camel", "case")),
        ("PascalCase", ("pascal", "case")),
        ("snake_case_name", ("snake", "case", "name")),
        ("kebab-case-name", ("kebab", "case", "name")),
        ("HTTPServer", ("http", "server")),
        ("getHTTPResponseCode", ("get", "http", "response", "code")),
        ("SCREAMING_CASE", ("screaming", "case")),
        ("sha256sum", ("sha", "256", "sum")),
        ("utf8", ("utf", "8")),
        ("__init__", ("init",)),
        ("plain", ("plain",)),
        ("straßen_name", ("straßen", "name")),
        ("_", ()),
    ],
)
def test_an_identifier_is_split_where_its_style_says(identifier: str, parts: tuple[str, ...]) -> None:
    assert split_identifier(identifier) == parts


def test_all_styles_of_one_name_have_the_same_whole() -> None:
    wholes = {whole for whole, _ in tokens("readFile ReadFile read_file READ_FILE read-file")}
    assert wholes == {"readfile"}


def test_the_whole_is_kept_beside_the_parts() -> None:
    assert words("getUserNames") == ["getusername", "get", "user", "name"]


@pytest.mark.parametrize(
    ("word", "folded"),
    [("retries", "retry"), ("classes", "class"), ("boxes", "box"), ("names", "name"), ("status", "status"),
     ("class", "class"), ("this", "this"), ("bus", "bus"), ("Gas", "gas")],
)  # fmt: skip
def test_plurals_fold_and_other_endings_stay(word: str, folded: str) -> None:
    assert fold(word) == folded


def test_a_single_letter_is_no_part_but_may_be_a_word() -> None:
    assert words("x_top x") == ["xtop", "top", "x"]


@given(st.text(max_size=200))
def test_words_never_hold_what_would_break_the_index(text: str) -> None:
    for word in words(text):
        assert word
        assert len(word) <= MAX_WORD
        assert not any(character.isspace() for character in word)
