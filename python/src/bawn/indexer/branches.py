"""Branches by name and by pattern."""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Final

from bawn.contracts.errors import SettingsError

_PATTERN: Final = re.compile(r"[^-/\s~^:\\\0][^\s~^:\\\0]*")


def check_branches(patterns: Iterable[str]) -> None:
    """Refuse what can't be a branch's name, or a pattern of names with `*`, `?` and `[…]`.

    Raises:
        SettingsError: names it.
    """
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern) or ".." in pattern or pattern.startswith("refs/"):
            raise SettingsError(f"`{pattern}` can't be the name or pattern of a branch.")


def is_name(pattern: str) -> bool:
    """Whether it names one branch."""
    return not set(pattern) & set("*?[")


def matching(branches: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Those of the branches that a pattern names, sorted."""
    return sorted(one for one in branches if any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns))
