"""What was found as compact text for a model, `path:line` first."""

from collections.abc import Sequence
from typing import Final

from bawn.contracts.search import (
    Chunk,
    FileSlice,
    IndexContent,
    IndexListing,
    Line,
    Matches,
    Outline,
    SearchResult,
    SymbolResult,
)

CHARACTERS_PER_TOKEN: Final = 4
"""A rough mean for source code; a budget is a bound on size, not on cost."""

NOTHING_FOUND: Final = "Nothing found."
CUT: Final = "…"
"""Stands where something was left out."""
SHOWN_SYMBOLS: Final = 6
"""Names of one chunk."""
_USED: Final = "\nUsed in:\n"


def render_chunks(result: SearchResult) -> str:
    """The chunks, best first."""
    if not result.chunks and not result.more:
        return NOTHING_FOUND
    note = f"{result.note}\n\n" if result.note else ""
    return note + _chunks(result.chunks, result.more)


def render_symbol(result: SymbolResult) -> str:
    """Definitions with their code, then a line for each use."""
    defined = _chunks(result.definitions, result.more_definitions)
    uses = _lines(result.references, result.more_references)
    return defined + (_USED + uses if uses and defined else uses) or NOTHING_FOUND


def render_matches(result: Matches) -> str:
    """A line for each match, and where not all files were searched, how many."""
    left = result.files - result.searched_files
    note = f"{left:,} of {result.files:,} files were not searched: narrow `path` or `repo`.\n" if left else ""
    return (_lines(result.lines, result.more) or f"{NOTHING_FOUND}\n") + note


def render_outline(result: Outline) -> str:
    """The map, and how much of the repository it shows."""
    left = result.files - result.shown_files
    if not left:
        return result.text or f"{NOTHING_FOUND}\n"
    note = f"({left:,} of {result.files:,} files are not shown: narrow `path` or give more `max_tokens`.)\n"
    return result.text + note


def render_slice(result: FileSlice) -> str:
    """The lines below their place."""
    place = f"{result.repo} {result.path}:{result.start_line}-{result.end_line}"
    return f"{place} of {result.total_lines}\n{result.text}"


def render_listing(result: IndexListing) -> str:
    """A line for each repository of each index."""
    return "".join(_content(one) for one in result.indexes) or f"{NOTHING_FOUND}\n"


def _content(content: IndexContent) -> str:
    languages = f" ({', '.join(content.languages)})" if content.languages else ""
    more = [_more(content.more)] if content.more else []
    if content.index == "libraries":
        # There may be hundreds, and how large each is nobody needs.
        return f"{content.index}{languages}\n  {', '.join([*(repo.name for repo in content.repos), *more])}\n"
    repos = [f"{repo.name}: {repo.files:,} files, {repo.chunks:,} chunks" for repo in content.repos]
    return f"{content.index}{languages}\n" + "".join(f"  {line}\n" for line in [*repos, *more])


def _chunks(chunks: Sequence[Chunk], more: int) -> str:
    rendered = [_header(chunk) + chunk.text.strip("\n") + "\n" for chunk in chunks]
    return "\n".join([*rendered, f"{_more(more)}\n"] if more else rendered)


def _header(chunk: Chunk) -> str:
    names = f"  ({', '.join(chunk.symbols[:SHOWN_SYMBOLS])})" if chunk.symbols else ""
    return f"{chunk.repo} {chunk.path}:{chunk.start_line}-{chunk.end_line}{names}\n"


def _lines(lines: Sequence[Line], more: int) -> str:
    rendered = [f"{line.repo} {line.path}:{line.line}: {line.text.strip()}\n" for line in lines]
    return "".join([*rendered, f"{_more(more)}\n"] if more else rendered)


def _more(count: int) -> str:
    return f"{CUT} {count:,} more"
