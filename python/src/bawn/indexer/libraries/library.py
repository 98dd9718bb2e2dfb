"""A library, as a lock file names it."""

import re
from typing import Final, Literal, get_args
from urllib.parse import quote, urlsplit

import msgspec

Ecosystem = Literal["pypi", "npm", "cargo", "go"]
ECOSYSTEMS: Final[tuple[Ecosystem, ...]] = get_args(Ecosystem)

_NAMES: Final[dict[Ecosystem, re.Pattern[str]]] = {
    "pypi": re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"),
    "npm": re.compile(r"(?:@[A-Za-z0-9~-][\w.~-]*/)?[A-Za-z0-9~-][\w.~-]*", re.ASCII),
    "cargo": re.compile(r"[A-Za-z0-9_-]+"),
    "go": re.compile(r"[A-Za-z0-9][\w.~-]*\.[\w.~-]*(?:/[\w.~-]+)*", re.ASCII),
}
_VERSION: Final = re.compile(r"v?[0-9][0-9A-Za-z.+!_-]*")
_LONGEST: Final = 200


class WrongLock(Exception):
    """A lock file can't be read; the text says why, with what mends it."""


class Library(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of one library."""

    ecosystem: Ecosystem
    name: str
    """As its registry writes it; of PyPI, normalised."""
    version: str
    hashes: list[str] = []
    """What its archive may have: `sha256:` and the like in hexadecimal, or Go's `h1:`; none where none is said."""
    origin: str = ""
    """Host of the registry that it is said to be from; empty for the public one, or where nothing is said."""

    @property
    def title(self) -> str:
        """What searches call it: `pypi/httpx@0.28.1`."""
        return f"{self.ecosystem}/{self.name}@{self.version}"

    @property
    def slug(self) -> str:
        """The title as a name of a file."""
        return quote(self.title, safe="@")

    @property
    def is_sound(self) -> bool:
        """Whether name and version can be what they are said to be, so that they may stand in addresses and paths."""
        named = _NAMES[self.ecosystem].fullmatch(self.name) and ".." not in self.name
        return bool(named and _VERSION.fullmatch(self.version)) and len(self.slug) <= _LONGEST


def pypi_name(name: str) -> str:
    """A name of PyPI in the one form that all its spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()


def origin_of(address: str, public: frozenset[str]) -> str:
    """The host of a registry's address; empty where it is a `public` one."""
    host = urlsplit(address).hostname or ""
    return "" if host in public else host
