"""Scopes of a query as filters of Meilisearch, which knows neither globs nor regular expressions."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from bawn.search.backend import Scope
from bawn.search.globs import path_pattern
from bawn.search.meilisearch.stored import part_key, spelled, tails

_PIECE: Final = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")


class Filter(msgspec.Struct, frozen=True):
    """What Meilisearch narrows a query down to, and what is left to look at in what it finds."""

    conditions: tuple[str, ...]
    path: re.Pattern[str] | None
    """What paths must match beyond the conditions; None where these say all."""
    exact: bool
    """Whether hardly a path that the conditions let through fails to match `path`."""

    def admits(self, path: str) -> bool:
        """Whether `path` is in the scope, so far as the conditions leave that open."""
        return self.path is None or self.path.fullmatch(path) is not None


def scope_filter(scope: Scope) -> Filter:
    """The filter of a scope.

    Raises:
        InvalidRequest: its path can't be.
    """
    conditions: list[str] = []
    if scope.repo is not None:
        conditions.append(f'repo = "{spelled(scope.repo)}"')
    if scope.language is not None:
        conditions.append(f'language = "{spelled(scope.language)}"')
    if scope.path is None:
        return Filter(tuple(conditions), None, exact=True)
    pattern = re.compile(path_pattern(scope.path))
    path = scope.path.removeprefix("./")
    if "*" not in path and "?" not in path:
        conditions.append(f"within = {part_key(path.removesuffix('/'))}")
        return Filter(tuple(conditions), pattern, exact=True)
    folder, rest = _leading_folder(path if "/" in path else f"**/{path}")
    if folder:
        conditions.append(f"within = {part_key(folder)}")
    tail = _ending(rest)
    if tail:
        conditions.append(f"tails = {part_key(tail)}")
    return Filter(tuple(conditions), pattern, exact=rest in ("**", f"**/{tail}", f"**/*{tail}"))


def one_of(attribute: str, values: Iterable[str]) -> str:
    """A condition that `attribute` has one of some values, which are of letters and digits."""
    return f"{attribute} IN [{','.join(values)}]"


def _leading_folder(glob: str) -> tuple[str, str]:
    """The folder in which all that a glob matches lies, and what of the glob is behind it."""
    literal = glob[: min(glob.find(sign) for sign in "*?" if sign in glob)]
    folder, slash, _ = literal.rpartition("/")
    return folder, glob[len(folder) + len(slash) :]


def _ending(glob: str) -> str:
    """The longest end of names that all that a glob matches have, of those that are kept of every name."""
    pieces = _PIECE.findall(glob)
    before, last = "".join(pieces[:-1]), pieces[-1]
    if last.startswith(("*", "?")):
        return ""
    name = last.rpartition("/")[2]
    kept = tails(name)
    if "/" in last or before.endswith("/"):
        return kept[0]
    return next((tail for tail in kept if tail[:1] and not tail[0].isalnum()), "") if name else ""
