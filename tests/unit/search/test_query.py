import pytest

from bawn.search.query import MAX_WORDS, read_query


@pytest.mark.parametrize(
    "text", ["HTTPServer", "read_file", "Router.route", "std::vector", "main()", "event", "`parse`"]
)
def test_a_name_is_a_symbol_query(text: str) -> None:
    assert read_query(text).kind == "symbol"


@pytest.mark.parametrize("text", ["src/app.py", "./src/app.py", "main.py", "tests/unit/", "flake.nix"])
def test_a_path_or_file_name_is_a_path_query(text: str) -> None:
    assert read_query(text).kind == "path"


def test_a_question_is_prose_and_keeps_the_words_that_count() -> None:
    query = read_query("Where is the retry backoff computed?")
    assert query.kind == "prose"
    assert query.words == ("retry", "backoff", "computed")


def test_a_path_within_a_question_is_seen() -> None:
    assert read_query("what does service/logs.py do?").path == "service/logs.py"


def test_only_identifiers_in_a_sentence_count_as_names() -> None:
    assert read_query("where are keys checked by check_key").names == {"check_key"}


def test_a_query_of_stop_words_still_searches() -> None:
    assert read_query("from").words == ("from",)


@pytest.mark.parametrize("text", ["", "  ", "?!", "->"])
def test_a_query_without_a_word_has_none(text: str) -> None:
    assert read_query(text).words == ()


def test_a_pasted_wall_of_text_is_cut() -> None:
    assert len(read_query(" ".join(f"word{n}" for n in range(1000))).words) <= MAX_WORDS + 3


def test_a_query_that_speaks_of_tests_wants_them() -> None:
    assert read_query("tests for the retry").wants == {"test"}
    assert not read_query("the latest retry").wants
