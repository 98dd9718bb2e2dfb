"""Prompt lookup: what follows where the same tokens stood before is likely to follow again.

After A. Saxena, "Prompt Lookup Decoding" (2023). Whoever rewrites a file with one change repeats nearly all of it.
"""

from typing import Final

GRAM: Final = 3
"""Tokens that must be the same."""


class Lookup:
    """The places of all runs of `GRAM` tokens in one sequence."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, ...], int] = {}  # run → where its latest occurrence goes on
        self._known = GRAM
        self._at = 0  # where the last draft was copied from
        self._next = 0  # where it goes on

    def draft(self, tokens: list[int], most: int) -> list[int]:
        """Up to `most` tokens that may come next."""
        self._learn(tokens)
        end = len(tokens)
        # A draft goes on where the last one ended, also behind a change of one token: the latest occurrence of a run
        # may be another context.
        if 0 < self._next < end and tokens[self._next - 1] == tokens[-1]:
            self._at = self._next
        else:
            self._at = self._places.get(tuple(tokens[end - GRAM :]), 0)
        return tokens[self._at : self._at + most] if self._at else []

    def settle(self, right: int) -> None:
        """The first `right` tokens of the last draft came, and one more after them."""
        self._next = self._at + right + 1

    def _learn(self, tokens: list[int]) -> None:
        places = self._places
        for at in range(self._known, len(tokens)):
            places[tuple(tokens[at - GRAM : at])] = at
        self._known = max(self._known, len(tokens))
