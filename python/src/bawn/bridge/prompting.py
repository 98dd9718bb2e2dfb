"""A prompt of found code and a question that fits a model."""

from typing import Final

import msgspec

from bawn.contracts.search import Chunk

_CHARACTERS_A_TOKEN: Final = 3.0
"""Of code, estimated low: tokenizers of small models make about 3.2, and a prompt too long is asked twice."""
_FRAME_TOKENS: Final = 120
_LEAST_LINES: Final = 3
"""A chunk cut shorter than this says nothing."""

_SYSTEM: Final = (
    "You answer questions about a code base from the excerpts that you are given. "
    "Name the files and lines that your answer rests on as path:line. "
    "Say so when the excerpts don't hold the answer."
)
_PLAIN: Final = "You answer questions of a software developer, briefly and exactly."


class Prompt(msgspec.Struct, frozen=True):
    """Messages of one chat request."""

    messages: list[dict[str, str]]
    used: list[Chunk]
    """The chunks in it; the last may be cut."""
    tokens: int
    """Estimated."""


def estimated_tokens(text: str) -> int:
    """Tokens of `text`, estimated high."""
    return int(len(text.encode()) / _CHARACTERS_A_TOKEN) + 1


def compose(question: str, chunks: list[Chunk], budget: int) -> Prompt:
    """Put as many of `chunks`, best first, before `question` as fit into `budget` tokens (estimated)."""
    left = budget - _FRAME_TOKENS - estimated_tokens(question)
    used: list[Chunk] = []
    blocks: list[str] = []
    for chunk in chunks:
        fitted = _fitted(chunk, left)
        if fitted is None:
            break
        block = _block(fitted)
        left -= estimated_tokens(block)
        used.append(fitted)
        blocks.append(block)
        if fitted is not chunk:
            break
    content = question
    if used:
        content = f"Excerpts of the code base:\n\n{''.join(blocks)}Question: {question}"
    messages = [{"role": "system", "content": _SYSTEM if used else _PLAIN}, {"role": "user", "content": content}]
    return Prompt(messages, used, budget - left)


def _block(chunk: Chunk) -> str:
    fence = "```"
    while fence in chunk.text:
        fence += "`"
    return f"{chunk.path}:{chunk.start_line}-{chunk.end_line}\n{fence}{chunk.language}\n{chunk.text}\n{fence}\n\n"


def _fitted(chunk: Chunk, tokens: int) -> Chunk | None:
    if estimated_tokens(_block(chunk)) <= tokens:
        return chunk
    room = tokens * _CHARACTERS_A_TOKEN - (len(_block(chunk).encode()) - len(chunk.text.encode()))
    kept: list[str] = []
    for line in chunk.text.splitlines():
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    if len(kept) < _LEAST_LINES:
        return None
    return msgspec.structs.replace(chunk, text="\n".join(kept), end_line=chunk.start_line + len(kept) - 1)
