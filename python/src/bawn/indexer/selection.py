"""Which files of a repository are indexed: those of one project of it, and by globs."""

import re
from collections.abc import Sequence
from typing import Final

from bawn.contracts.errors import InvalidRequest, SettingsError
from bawn.search.globs import path_pattern

_EVERYTHING: Final = re.compile("")


class Selection:
    """Decides by path. A glob has the form that searches take: `src/**`, `*.py`, or a folder."""

    def __init__(self, project: str | None, include: Sequence[str], exclude: Sequence[str]) -> None:
        """Files below `project` that one of `include` names, if there are any, and none of `exclude`.

        Raises:
            SettingsError: one of them can't be; names it.
        """
        self._project = _EVERYTHING if project is None else _any([project], "project")
        self._include = _any(include, "include") if include else _EVERYTHING
        self._exclude = _any(exclude, "exclude") if exclude else None

    def takes(self, path: str) -> bool:
        """Whether the file is indexed, if nothing else is against it."""
        if not self._project.match(path) or not self._include.match(path):
            return False
        return self._exclude is None or not self._exclude.match(path)


def _any(globs: Sequence[str], key: str) -> re.Pattern[str]:
    try:
        return re.compile("|".join(f"(?:{path_pattern(glob)})$" for glob in globs), re.DOTALL)
    except InvalidRequest as error:
        raise SettingsError(f"{key}: {error.message}") from error
