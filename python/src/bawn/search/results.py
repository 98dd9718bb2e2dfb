"""Index documents as what the tools answer with."""

from typing import Final

from bawn.contracts.search import Chunk
from bawn.search.documents import IndexDocument

MAX_CHUNK_TEXT: Final = 6_000
"""Characters of one chunk in a result; only a file with very long lines has more."""
MAX_LINE: Final = 240
"""Characters of one line in a result."""

_CUT: Final = "…"


def chunk_of(document: IndexDocument, score: float = 0.0) -> Chunk:
    """The document as a result."""
    return Chunk(
        repo=document.repo,
        path=document.path,
        start_line=document.start_line,
        end_line=document.end_line,
        language=document.language,
        text=document.text[:MAX_CHUNK_TEXT],
        score=round(score, 3),
        symbols=document.symbols,
        commit=document.commit,
    )


def cut_line(line: str, start: int = 0) -> str:
    """A line, or so much of it around character `start` as a result may have."""
    line = line.rstrip()
    if len(line) <= MAX_LINE:
        return line
    begin = max(0, min(start - MAX_LINE // 4, len(line) - MAX_LINE))
    before, after = _CUT if begin else "", _CUT if begin + MAX_LINE < len(line) else ""
    return before + line[begin : begin + MAX_LINE] + after
