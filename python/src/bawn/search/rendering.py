"""Found chunks as compact text for a model: a `path:line` header, then the code, within a budget of tokens."""

from typing import Final

from bawn.contracts.search import Chunk, SearchResult

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
    left = budget_tokens * CHARACTERS_PER_TOKEN
    rendered: list[str] = []
    for chunk in result.chunks:
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
