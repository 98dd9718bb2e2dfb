"""What was found as compact text for a model, `path:line` first, within a budget of tokens."""

from collections.abc import Iterable, Sequence
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
_CUT: Final = "…"
_LEAST: Final = 160  # characters: less of a chunk says nothing


def _header(chunk: Chunk) -> str:
    names = f"  ({', '.join(chunk.symbols[:6])})" if chunk.symbols else ""
    return f"{chunk.repo} {chunk.path}:{chunk.start_line}-{chunk.end_line}{names}\n"


def render_chunks(result: SearchResult, budget_tokens: int) -> str:
    """The chunks, best first, in at most `budget_tokens` tokens; the last one that fits in part is cut at a line."""
    if not result.chunks:
        return NOTHING_FOUND
    note = f"{result.note}\n\n" if result.note else ""
    return note + _chunks(result.chunks, budget_tokens * CHARACTERS_PER_TOKEN - len(note))


def _chunks(chunks: Sequence[Chunk], left: int) -> str:
    rendered: list[str] = []
    for chunk in chunks:
        header = _header(chunk)
        text = chunk.text.strip("\n") + "\n"
        room = left - len(header) - (1 if rendered else 0)
        if len(text) > room:
            text = _cut(text, room)
            if not text:
                break
        rendered.append(header + text)
        left = room - len(text)
        if left < _LEAST:
            break
    return "\n".join(rendered)


def _cut(text: str, room: int) -> str:
    """The whole lines of `text` that fit into `room` characters with a mark after them, or nothing."""
    if room < _LEAST:
        return ""
    kept = text[: room - len(_CUT) - 1]
    lines, _, _ = kept.rpartition("\n")
    return f"{lines or kept}\n{_CUT}\n"


def render_symbol(result: SymbolResult, budget_tokens: int) -> str:
    """Definitions with their code, then a line for each use; uses get a third of the budget at least."""
    if not result.definitions and not result.references:
        return NOTHING_FOUND
    room = budget_tokens * CHARACTERS_PER_TOKEN
    uses = _cut_lines(map(_line, result.references), room if not result.definitions else room // 3)
    defined = _chunks(result.definitions, room - len(uses) - len(_USED))
    return defined + (_USED + uses if uses and defined else uses)


_USED: Final = "\nUsed in:\n"


def render_matches(result: Matches, budget_tokens: int) -> str:
    """A line for each match, and where not all files were searched, how many."""
    left = result.files - result.searched_files
    note = f"{left:,} of {result.files:,} files were not searched: narrow `path` or `repo`.\n" if left else ""
    room = budget_tokens * CHARACTERS_PER_TOKEN - len(note)
    return (_cut_lines(map(_line, result.lines), room) or f"{NOTHING_FOUND}\n") + note


def render_outline(result: Outline) -> str:
    """The map, and how much of the repository it shows."""
    left = result.files - result.shown_files
    note = f"({left:,} of {result.files:,} files are not shown: narrow `path` or give more `max_tokens`.)\n"
    return (result.text or f"{NOTHING_FOUND}\n") + (note if left else "")


def render_slice(result: FileSlice) -> str:
    """The lines below their place."""
    place = f"{result.repo} {result.path}:{result.start_line}-{result.end_line}"
    return f"{place} of {result.total_lines}\n{result.text}"


def render_listing(result: IndexListing) -> str:
    """A line for each repository of each index."""
    return "".join(_content(one) for one in result.indexes) or f"{NOTHING_FOUND}\n"


def _content(content: IndexContent) -> str:
    languages = f" ({', '.join(content.languages)})" if content.languages else ""
    if content.index == "libraries":
        # There may be hundreds, and how large each is nobody needs.
        return f"{content.index}{languages}\n  {', '.join(repo.name for repo in content.repos)}\n"
    repos = "".join(f"  {repo.name}: {repo.files:,} files, {repo.chunks:,} chunks\n" for repo in content.repos)
    return f"{content.index}{languages}\n{repos}"


def _line(line: Line) -> str:
    return f"{line.repo} {line.path}:{line.line}: {line.text.strip()}\n"


def _cut_lines(lines: Iterable[str], room: int) -> str:
    kept: list[str] = []
    for line in lines:
        room -= len(line)
        if room < len(_CUT) + 1:
            return "".join([*kept, f"{_CUT}\n"]) if kept else ""
        kept.append(line)
    return "".join(kept)
