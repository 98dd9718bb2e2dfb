"""Where a secret stands in a text."""

from typing import NamedTuple


class Span(NamedTuple):
    """The characters from `start` up to `end`, and the rule that found them."""

    start: int
    end: int
    rule: str
