import pytest

from bawn.contracts.errors import NotFound
from bawn.search.repositories import repository_named

KNOWN = ["app", "npm/@scope/zod@3.0.0", "pypi/numpy@1.26.4", "pypi/numpy@2.2.0"]


@pytest.mark.parametrize("asked", ["@scope/zod", "npm/@scope/zod", "@scope/zod@3.0.0", "npm/@scope/zod@3.0.0"])
def test_a_library_is_named_in_short_where_that_is_clear(asked: str) -> None:
    assert repository_named(KNOWN, asked) == "npm/@scope/zod@3.0.0"
    assert repository_named(KNOWN, "numpy@2.2.0") == "pypi/numpy@2.2.0"
    assert repository_named(KNOWN, "app") == "app"


def test_of_several_versions_one_is_to_be_named() -> None:
    with pytest.raises(NotFound) as told:
        repository_named(KNOWN, "numpy")
    assert told.value.message == "`numpy` may be any of pypi/numpy@1.26.4, pypi/numpy@2.2.0: name one."


def test_what_is_not_there_is_told_with_what_is_like_it_first_and_not_with_hundreds() -> None:
    known = [f"pypi/a{number}@1" for number in range(500)] + ["pypi/zod@1"]
    with pytest.raises(NotFound) as told:
        repository_named(known, "zo")
    assert "Indexed: pypi/zod@1, pypi/a0@1, " in told.value.message
    assert told.value.message.endswith(", and 471 more.")
    with pytest.raises(NotFound, match="Indexed: none"):
        repository_named([], "app")
