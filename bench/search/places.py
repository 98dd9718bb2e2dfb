"""A place in a project: what engines find, and what answers a question."""

import msgspec

END_OF_FILE = 10**9


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Lines of a file; from 1, the last one included."""

    path: str
    start: int = 1
    end: int = END_OF_FILE

    def overlaps(self, other: "Place") -> bool:
        """Whether both have a line in common."""
        return self.path == other.path and self.start <= other.end and other.start <= self.end


class Query(msgspec.Struct, frozen=True):
    """A question, and every place that answers it."""

    text: str
    answers: tuple[Place, ...]
