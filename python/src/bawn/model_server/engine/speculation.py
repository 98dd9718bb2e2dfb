"""How many tokens of a draft are worth being checked, by what a decode step costs and how often drafts are right."""

from bisect import bisect_left
from typing import Final, NamedTuple

LENGTHS: Final = (2, 4, 8, 16)
"""Tokens of a draft."""
MEASURED: Final = (1, 2, 4, 8, 16, 32)
"""Sizes of batches whose decode step is measured at the start."""
LEAST_GAIN: Final = 1.06
"""What a draft must promise: the estimate is rough, and a loss is worse than no gain."""
_HOPE: Final = 0.8  # how likely the first draft of a sequence is right, token by token
_FORGET: Final = 0.15
_FORGIVE: Final = 0.003


class Costs:
    """Seconds of a decode step by the tokens in it. Used by the engine thread alone."""

    def __init__(self, measured: dict[int, float]) -> None:
        """Begin with measured steps; without any, nothing is ever worth it."""
        self._sizes = sorted(measured)
        self._seconds = dict(measured)

    def of(self, size: int) -> float:
        """Seconds of a step of `size` tokens, by interpolation."""
        at = bisect_left(self._sizes, size)
        if at < len(self._sizes) and self._sizes[at] == size:
            return self._seconds[size]
        low, high = max(0, min(at - 1, len(self._sizes) - 2)), max(1, min(at, len(self._sizes) - 1))
        a, b = self._sizes[low], self._sizes[high]
        slope = (self._seconds[b] - self._seconds[a]) / (b - a)
        return max(1e-9, self._seconds[a] + slope * (size - a))

    def saw(self, size: int, seconds: float) -> None:
        """A step took so long: a longer context costs more, and the measured sizes move along."""
        if len(self._sizes) < 2 or size > self._sizes[-1]:
            return
        factor = max(0.5, min(2.0, seconds / self.of(size)))
        nearest = min(self._sizes, key=lambda known: abs(known - size))
        self._seconds[nearest] *= factor**0.1

    @property
    def known(self) -> bool:
        """Whether there is anything to judge by."""
        return len(self._sizes) > 1


class Chance(NamedTuple):
    """How likely one token of a draft is right, if those before it are."""

    value: float = _HOPE

    def after(self, drafted: int, right: int) -> "Chance":
        """Learn from a draft."""
        value = self.value
        for _ in range(right):
            value += _FORGET * (1 - value)
        if right < drafted:
            value -= _FORGET * 2 * value
        return Chance(value)

    def without(self) -> "Chance":
        """A step without a draft: confidence comes back slowly."""
        return Chance(self.value + _FORGIVE * (_HOPE - self.value))

    def expected(self, length: int) -> float:
        """Tokens of a draft of `length` that are right, on average."""
        return sum(self.value**count for count in range(1, length + 1))


def draft_length(costs: Costs, chance: Chance, others: int, token_s: float = 0.0) -> int:
    """How long a draft should be; 0: none pays.

    Args:
        costs: of the steps that check it.
        chance: that its tokens are right.
        others: tokens of other sequences in the batch.
        token_s: seconds that it takes to draft one token.
    """
    if not costs.known:
        return 0
    plain = costs.of(others + 1)
    seconds = {size: costs.of(others + 1 + size) + size * token_s for size in LENGTHS}
    gains = {size: (1 + chance.expected(size)) * plain / seconds[size] for size in LENGTHS}
    best = max(gains, key=lambda size: gains[size])
    return best if gains[best] >= LEAST_GAIN else 0
