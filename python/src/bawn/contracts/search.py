"""Results of the search tools, as MCP structured content."""

from typing import Literal

import msgspec

Index = Literal["code", "docs", "libraries"]
"""What can be searched, each with its own permission."""


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


class SearchResult(msgspec.Struct, frozen=True):
    """Answer of `search_code`, best first."""

    chunks: list[Chunk]


class FileSlice(msgspec.Struct, frozen=True):
    """Answer of `read_file`."""

    repo: str
    path: str
    start_line: int
    end_line: int
    total_lines: int
    text: str
