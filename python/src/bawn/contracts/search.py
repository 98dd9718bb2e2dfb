"""Results of the search tools, as MCP structured content."""

from typing import Final, Literal, get_args

import msgspec

Index = Literal["code", "docs", "libraries"]
"""What can be searched, each with its own permission."""

INDEXES: Final[tuple[Index, ...]] = get_args(Index)
CODE_INDEX: Final[Index] = "code"


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

    @property
    def location(self) -> str:
        """`path:line`, as editors and terminals understand it."""
        return f"{self.path}:{self.start_line}"


class SearchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of `search_code`, best first."""

    chunks: list[Chunk]
    note: str = ""
    """What the ranking had to do without."""


class FileSlice(msgspec.Struct, frozen=True):
    """Answer of `read_file`."""

    repo: str
    path: str
    start_line: int
    end_line: int
    total_lines: int
    text: str


class Line(msgspec.Struct, frozen=True):
    """One line of a file."""

    repo: str
    path: str
    line: int
    """From 1."""
    text: str


class SymbolResult(msgspec.Struct, frozen=True):
    """Answer of `find_symbol`: where the name is defined, then where it is used, best first."""

    definitions: list[Chunk]
    references: list[Line]


class Matches(msgspec.Struct, frozen=True):
    """Answer of `grep`."""

    lines: list[Line]
    searched_files: int
    files: int
    """In scope; more than were searched where time or lines ran out."""


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


class IndexContent(msgspec.Struct, frozen=True):
    """What one index has."""

    index: Index
    repos: list[IndexedRepo]
    languages: list[str]


class IndexListing(msgspec.Struct, frozen=True):
    """Answer of `list_indexes`."""

    indexes: list[IndexContent]
