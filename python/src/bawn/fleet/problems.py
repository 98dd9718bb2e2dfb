"""What is wrong with a fleet: a key, and the reason in one sentence."""

from collections.abc import Iterable

import msgspec

from bawn.contracts.errors import SettingsError


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


def listed(names: Iterable[str]) -> str:
    """`names` for a sentence, sorted."""
    return ", ".join(sorted(names)) or "none"
