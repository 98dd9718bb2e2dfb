"""Results of the search tools, as MCP structured content."""

from typing import Final, Literal, get_args

import msgspec

Index = Literal["code", "docs", "libraries"]
"""What can be searched, each with its own permission."""

INDEXES: Final[tuple[Index, ...]] = get_args(Index)
CODE_INDEX: Final[Index] = "code"
MOST_TOKENS: Final = 20_000
"""The most that a call may ask of one answer."""


class Chunk(msgspec.Struct, frozen=True, omit_defaults=True):
    """One found piece of a file."""

    repo: str
    path: str
    """Relative to the repository's root, with `/`."""
    start_line: int
    """First line, from 1."""
    end_line: int
    """Last line, included."""
    language: str
    text: str
    score: float = 0.0
    symbols: list[str] = []
    """Names that the chunk defines."""
    commit: str = ""
    cut: bool = False
    """Whether `text` ends before the chunk does, for want of room; its last line is `…` then."""

    @property
    def location(self) -> str:
        """`path:line`, as editors and terminals understand it."""
        return f"{self.path}:{self.start_line}"


class SearchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of `search_code`, best first."""

    chunks: list[Chunk]
    note: str = ""
    """What the ranking had to do without."""
    more: int = 0
    """Chunks that were left out for want of room."""


class FileSlice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of `read_file`; what `end_line` leaves of `total_lines` is there to be read on."""

    repo: str
    path: str
    start_line: int
    end_line: int
    total_lines: int
    text: str
    cut: bool = False
    """Whether there was no room for the one line, which ends with `…` then."""


class Line(msgspec.Struct, frozen=True):
    """One line of a file."""

    repo: str
    path: str
    line: int
    """From 1."""
    text: str


class SymbolResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of `find_symbol`: where the name is defined, then where it is used, best first."""

    definitions: list[Chunk]
    references: list[Line]
    more_definitions: int = 0
    """Left out for want of room, as `more_references` are."""
    more_references: int = 0


class Matches(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of `grep`."""

    lines: list[Line]
    searched_files: int
    files: int
    """In scope; more than were searched where time or lines ran out."""
    more: int = 0
    """Lines that were found and left out for want of room."""


class Outline(msgspec.Struct, frozen=True):
    """Answer of `repo_map`."""

    repo: str
    text: str
    """Files, each with the lines that define its most used names."""
    shown_files: int
    files: int
    """In scope."""


class IndexedRepo(msgspec.Struct, frozen=True):
    """What an index has of one repository, or of one collection of documents."""

    name: str
    files: int
    chunks: int


class IndexContent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one index has."""

    index: Index
    repos: list[IndexedRepo]
    languages: list[str]
    more: int = 0
    """Repositories that were left out for want of room."""


class IndexListing(msgspec.Struct, frozen=True):
    """Answer of `list_indexes`."""

    indexes: list[IndexContent]
