"""Which indexed repository a caller means, and what is said where none is."""

from collections.abc import Sequence
from typing import Final

from bawn.contracts.errors import NotFound

_SHOWN: Final = 30


def repository_named(known: Sequence[str], asked: str) -> str:
    """The one of `known` that is `asked`; a library may be asked for without its ecosystem, or its version.

    Raises:
        NotFound: none is, or several are; the message names those that may be meant.
    """
    if asked in known:
        return asked
    # `pypi/httpx@0.28.1`; no other repository has an `@`.
    libraries = [one for one in known if "@" in one and asked in _short_forms(one)]
    if len(libraries) == 1:
        return libraries[0]
    if libraries:
        raise NotFound(f"`{asked}` may be any of {_listed(libraries)}: name one.", param="repo")
    raise unknown_repository(known, asked)


def unknown_repository(known: Sequence[str], asked: str) -> NotFound:
    """The error where no repository is `asked`; those that have it in their names are told first."""
    ordered = sorted(known, key=lambda one: asked.lower() not in one.lower())
    return NotFound(f"No repository `{asked}` is indexed. Indexed: {_listed(ordered) or 'none'}.", param="repo")


def _short_forms(library: str) -> set[str]:
    name = library.partition("/")[2]
    return {name, library.rpartition("@")[0], name.rpartition("@")[0]}


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
