import pytest

from bawn.contracts.errors import SettingsError
from bawn.indexer.branches import check_branches, is_name, matching, shown_as


@pytest.mark.parametrize("branch", ["", "-f", "/a", "a b", "a..b", "refs/heads/a", "a:b", "^a", "a\\b"])
def test_what_is_no_branch_is_refused(branch: str) -> None:
    with pytest.raises(SettingsError, match="can't be the name or pattern of a branch"):
        check_branches(["main", branch])


def test_names_and_patterns_are_taken() -> None:
    check_branches(["main", "release/1.2", "release/*", "v?", "v[12]", "Ünï"])


def test_a_pattern_is_no_name() -> None:
    assert [is_name(one) for one in ("main", "release/1", "v*", "v?", "v[1]")] == [True, True, False, False, False]


def test_patterns_choose_among_branches() -> None:
    assert matching(["b", "main", "release/2", "release/1"], ["main", "release/*"]) == [
        "main",
        "release/1",
        "release/2",
    ]
    assert matching(["Main"], ["main"]) == []


def test_two_branches_are_never_shown_alike() -> None:
    assert shown_as(["main", "release/2"]) == {"main": "main", "release/2": "release-2"}
    alike = shown_as(["release-1", "release/1", "a/b-c", "a-b/c"])
    assert alike["release-1"] == "release-1"
    assert len(set(alike.values())) == 4
    assert alike["release/1"].startswith("release-1-")
    assert shown_as(["release/1", "release-1"])["release/1"] == alike["release/1"], "whatever others there are"
