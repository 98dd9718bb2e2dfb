"""What a hop is: one thing to look at, and what was seen there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from bawn.contracts.errors import BawnError


class Seen(msgspec.Struct, frozen=True):
    """A hop in which nothing is wrong."""

    detail: str
    looked: bool = True
    """False where there was nothing to look at: no tailnet, say."""


def not_looked(reason: str) -> Seen:
    """The hop does not concern this machine."""
    return Seen(reason, looked=False)


class Fault(BawnError):
    """What is wrong at a hop."""

    def __init__(self, code: str, wrong: str, mend: str) -> None:
        super().__init__(wrong)
        self.code = code
        """Stable, for support and tests."""
        self.wrong = wrong
        """One or two sentences."""
        self.mend = mend
        """What whoever reads this does about it."""


Look = Callable[[], Awaitable[Seen]]


@dataclass(frozen=True)
class Hop:
    """One thing to look at. `look` raises `Fault`; hops after it may count on what it saw."""

    name: str
    look: Look
    within_s: float = 5.0
