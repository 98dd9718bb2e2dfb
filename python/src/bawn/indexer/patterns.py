"""Patterns of `.gitignore` and `.gitattributes` files, as git reads them: bytes, each written as a character.

A pattern comes from the repository: none can take more steps than its length times that of the path.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

_LONGEST: Final = 4_096
_PIECE: Final = re.compile(
    r"(?P<stars>\*+)|(?P<one>\?)|\[(?P<set>[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]|\\(?P<escaped>.)|(?P<plain>[^\\\[*?])",
    re.DOTALL,
)
_SET_PIECE: Final = re.compile(r"\[:(?P<class>[a-z]+):\]|\\(?P<escaped>.)|(?P<plain>.)", re.DOTALL)
_CLASSES: Final = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "space": r"\s",
    "xdigit": "0-9a-fA-F", "punct": r"!-/:-@\[-`{-~", "blank": " \t",
}  # fmt: skip
_ANY: Final = re.compile(".*", re.DOTALL)

_Part = re.Pattern[str] | None
"""What one name in a path must be; None: any number of names."""


class Pattern(msgspec.Struct, frozen=True):
    """A pattern, relative to the folder of its file."""

    parts: tuple[_Part, ...]
    folders_only: bool
    negative: bool

    def matches(self, names: Sequence[str], *, is_folder: bool) -> bool:
        """Whether it names the path that consists of `names`, and not only a folder that this is in."""
        if self.folders_only and not is_folder:
            return False
        if len(self.parts) == 2 and self.parts[0] is None and self.parts[1] is not None:
            return self.parts[1].fullmatch(names[-1]) is not None
        part = name = begun = 0
        tried: int | None = None
        while name < len(names):
            wanted = self.parts[part] if part < len(self.parts) else False
            if wanted is None:
                part, tried, begun = part + 1, part, name
            elif wanted and wanted.fullmatch(names[name]):
                part, name = part + 1, name + 1
            elif tried is None:
                return False
            else:
                begun += 1
                part, name = tried + 1, begun
        return all(rest is None for rest in self.parts[part:])


def read_pattern(line: str) -> Pattern | None:
    """The pattern of a line; None for a comment, an empty line, and what git can't read either."""
    text = line.rstrip("\r\n")
    if len(text) > _LONGEST or text.startswith("#"):
        return None
    while text.endswith((" ", "\t")) and not text[:-1].endswith("\\"):
        text = text[:-1]
    negative = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    if not text.removeprefix("/"):
        return None
    names = text.removeprefix("/").split("/")
    parts: list[_Part] = [] if "/" in text else [None]
    for name in names:
        if name == "**" and "/" in text:
            parts.append(None)
        elif (part := _part(name)) is not None:
            parts.append(part)
        else:
            return None
    if parts[-1] is None:
        parts.append(_ANY)  # `x/**` is what lies below x, and not x
    return Pattern(tuple(parts), folders_only, negative)


def _part(name: str) -> re.Pattern[str] | None:
    chunks = [""]
    end = 0
    for piece in _PIECE.finditer(name):
        if piece.start() != end:
            return None
        end = piece.end()
        if piece["stars"]:
            chunks.append("")
        elif piece["one"]:
            chunks[-1] += "."
        elif piece["set"] is not None:
            chunks[-1] += _set(piece["set"])
        else:
            chunks[-1] += re.escape(piece["escaped"] or piece["plain"])
    if end != len(name):
        return None
    # Of each chunk between two stars the first place is as good as any: with atomic groups none is tried again.
    first, *rest = chunks
    expression = first + "".join(f"(?>.*?{chunk})" for chunk in rest[:-1]) + (f".*{rest[-1]}" if rest else "")
    try:
        return re.compile(expression, re.DOTALL)
    except re.error:
        return None


def _set(text: str) -> str:
    negated = text.startswith(("!", "^"))
    return f"[{'^' if negated else ''}{''.join(_members(text[negated:]))}]"


def _members(text: str) -> Iterator[str]:
    for piece in _SET_PIECE.finditer(text):
        if piece["class"]:
            yield _CLASSES.get(piece["class"], "")
        elif piece["escaped"]:
            yield re.escape(piece["escaped"])
        else:
            yield "-" if piece["plain"] == "-" else re.escape(piece["plain"])
