"""Branches by name and by pattern."""

import fnmatch
import hashlib
import re
from collections import Counter
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


def shown_as(branches: Iterable[str]) -> dict[str, str]:
    """What searches call each branch: its name with `-` for `/`, and something of its own where that is another's."""
    plain = {branch: branch.replace("/", "-") for branch in branches}
    times = Counter(plain.values())
    return {
        branch: name if times[name] == 1 or name == branch else f"{name}-{_digest(branch)}"
        for branch, name in plain.items()
    }


def _digest(branch: str) -> str:
    return hashlib.sha256(branch.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def matching(branches: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Those of the branches that a pattern names, sorted."""
    return sorted(one for one in branches if any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns))
