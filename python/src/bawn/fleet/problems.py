"""What is wrong with a fleet: a key, and the reason in one sentence."""

import json
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that can't work."""

    key: str
    """Where it is written, e.g. `nodes.gpu.models`."""
    reason: str
    """What is wrong and the mend, a sentence."""

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


class BrokenFleet(SettingsError):
    """A fleet that can't work; carries every problem that was found."""

    def __init__(self, origin: str, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(f"{origin}: {problem}" for problem in self.problems))


def key_of(table: str, *names: str) -> str:
    """A key as TOML writes it: names that are more than letters, digits, `_` and `-` stand in quotes."""
    return ".".join([table, *(n if _BARE.fullmatch(n) else json.dumps(n, ensure_ascii=False) for n in names)])


def listed(names: Iterable[str]) -> str:
    """`names` for a sentence, sorted."""
    return ", ".join(sorted(names)) or "none"
