"""Definitions of JavaScript, TypeScript, Rust, C and C++, as code that was formatted shows them.

No parser: a definition begins on a line that looks like one, its header ends with a brace where no parenthesis is open,
and it ends at the brace that stands under its beginning. What is formatted otherwise is not found, and so not asked.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from bench.search.code.comments import Comment, comments
from bench.search.code.definitions import MOST_LINES, Definition

_HEADER_ROWS: Final = 30

_STATEMENTS: Final = frozenset(
    {
        "if", "for", "while", "switch", "catch", "return", "else", "do", "try", "throw", "case", "new", "delete",
        "await", "yield", "typeof", "goto", "typedef", "using",
    }
)  # fmt: skip
_NOT_NAMES: Final = _STATEMENTS | frozenset(
    {
        "function", "with", "sizeof", "super", "constexpr", "defined", "alignas", "decltype", "static_assert",
        "constructor", "match", "loop",
    }
)  # fmt: skip

_JS_START: Final = r"^[ \t]*(?:export\s+)?(?:default\s+)?(?:declare\s+)?"
_FUNCTIONS: Final = {
    "javascript": (
        re.compile(_JS_START + r"(?:async\s+)?function\b\s*\*?\s*([\w$]+)"),
        re.compile(_JS_START + r"(?:const|let|var)\s+([\w$]+)\s*(?::[^=]*)?=\s*(?:async\s+)?(?:function\b|\()"),
        re.compile(r"^[ \t]*(?:[\w$]+\.)+([\w$]+)\s*=\s*(?:async\s+)?function\b"),
        re.compile(
            r"^[ \t]+(?:(?:public|private|protected|static|async|override|get|set)\s+)*\*?#?([\w$]+)\s*(?:<[^()]*>)?\("
            r"(?:[^()'\"`]*\)\s*(?::[^;'\"{]*)?\{|[^()'\"`=]*$)"
        ),
    ),
    "rust": (
        re.compile(
            r"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?(?:default\s+)?(?:const\s+)?(?:async\s+)?(?:unsafe\s+)?"
            r"(?:extern\s+\"[^\"]*\"\s+)?fn\s+(\w+)"
        ),
    ),
    "c": (re.compile(r"^(?![ \t#/*])(?:[\w:<>,*&~\[\] \t]*?[\s*&:])?(~?[A-Za-z_]\w*)\s*\("),),
    "cpp": (re.compile(r"^(?!\s*[#/*])[ \t]*(?:[\w:<>,*&~\[\] \t]*?[\s*&:])?(~?[A-Za-z_]\w*)\s*\("),),
}
_TYPES: Final = {
    "javascript": re.compile(_JS_START + r"(?:abstract\s+)?(?:class|interface|enum)\s+([\w$]+)"),
    "rust": re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?(?:unsafe\s+)?(?:struct|enum|trait|union)\s+(\w+)"),
    "c": re.compile(r"^(?:typedef\s+)?(?:struct|enum|union)\s+(\w+)"),
    "cpp": re.compile(r"^[ \t]*(?:template\s*<.*>\s*)?(?:class|struct|enum(?:\s+class)?|union)\s+(?:[A-Z_]+\s+)?(\w+)"),
}
_SAME: Final = {"typescript": "javascript"}
_LITERAL: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|//.*$|/\*.*?\*/")
_BEFORE: Final = re.compile(r"^[ \t]*(?:#\[.*|@[\w.]+(?:\(.*\))?|template\s*<.*>|[\w:<>,*& \t]*[\w*&>])[ \t]*$")
"""Lines that may stand between a comment and the name: attributes, decorators, the type that a function returns."""


class _Header(NamedTuple):
    name: str
    sort: str
    end: int
    """Row of the brace."""


def brace_definitions(text: str, language: str) -> list[Definition]:
    """Functions, methods and types with the comments above them."""
    language = _SAME.get(language, language)
    lines = text.split("\n")
    above = comments(lines)
    silent = {row for comment in above for row in range(comment.start, comment.end)}
    by_end = {comment.end: comment for comment in above}
    found: list[Definition] = []
    for row in range(len(lines)):
        if row in silent or not (header := _header(lines, row, language)):
            continue
        end = _end(lines, row, header.end)
        if end is None or end - row > MOST_LINES:
            continue
        comment, first = _comment_above(lines, row, by_end)
        found.append(
            Definition(
                name=header.name,
                sort="type" if header.sort == "type" else "function",
                start=first + 1,
                end=end + 1,
                doc=comment.text if comment else "",
                comment=(comment.start + 1, comment.end) if comment else None,
            )
        )
    return found


def _header(lines: list[str], row: int, language: str) -> _Header | None:
    line = lines[row]
    if line.lstrip().startswith((":", ",")):  # how a constructor of C++ begins
        return None
    kind = _TYPES[language].match(line)
    if kind:
        end = _brace(lines, row)
        return None if end is None else _Header(kind[1], "type", end)
    for pattern in _FUNCTIONS[language]:
        match = pattern.match(line)
        if match is None or match[1] in _NOT_NAMES or _first_word(line) in _STATEMENTS:
            continue
        end = _brace(lines, row)
        if end is not None:
            return _Header(match[1], "function", end)
    return None


def _first_word(line: str) -> str:
    found = re.match(r"\s*([A-Za-z_]+)", line)
    return found[1] if found else ""


def _bare(line: str) -> str:
    """A line without its strings and comments."""
    return _LITERAL.sub("", line).rstrip()


def _brace(lines: list[str], row: int) -> int | None:
    """The row with the brace that ends the header which begins at `row`; None where there is none."""
    depth = 0
    for at in range(row, min(len(lines), row + _HEADER_ROWS)):
        line = _bare(lines[at])
        depth += line.count("(") - line.count(")")
        if depth > 0:
            continue
        if line.endswith("{") or re.search(r"\{.*\}\s*;?$", line):
            return at
        if line.endswith(";") or not line.strip():
            return None
    return None


def _end(lines: list[str], row: int, brace: int) -> int | None:
    if re.search(r"\{.*\}[\s;,)]*$", _bare(lines[brace])) and not _bare(lines[brace]).endswith("{"):
        return brace
    indent = lines[row][: len(lines[row]) - len(lines[row].lstrip())]
    for at in range(brace + 1, len(lines)):
        if lines[at].startswith(indent + "}"):
            return at
    return None


def _comment_above(lines: list[str], row: int, by_end: dict[int, Comment]) -> tuple[Comment | None, int]:
    """The comment that ends above `row`, with at most a few attributes between, and the row below it."""
    for first in _up(lines, row):
        if first in by_end:
            return by_end[first], first
    return None, row


def _up(lines: list[str], row: int) -> Iterator[int]:
    yield row
    for first in range(row - 1, max(-1, row - 6), -1):
        if not _BEFORE.match(lines[first]):
            return
        yield first
