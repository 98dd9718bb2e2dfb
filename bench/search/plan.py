"""How much is measured: in full for the record, little with `--quick` to see that all of it works."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.search.corpora import Project
from bench.search.packages import PROJECTS

A = TypeVar("A")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may take."""

    scratch: Path
    """For indexes, and everything else that is gone at the end."""
    full: bool = True

    def size(self, full: A, quick: A) -> A:
        """One of two sizes."""
        return full if self.full else quick

    @property
    def projects(self) -> Sequence[Project]:
        """Those that questions are asked of."""
        return self.size(PROJECTS, tuple(one for one in PROJECTS if one.package.name in ("click", "rxjs")))
