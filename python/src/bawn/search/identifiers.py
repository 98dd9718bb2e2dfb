"""Words of code: identifiers split into lower-case parts, with the whole kept beside them."""

import re
from functools import lru_cache
from typing import Final

MAX_WORD: Final = 64
"""Characters; what is longer is a hash or data and nobody searches for it."""

_TOKEN: Final = re.compile(r"\w+(?:-[^\W\d]\w*)*")
_PART: Final = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])"  # HTTP of HTTPServer
    r"|[A-Z]?[a-z]+"
    r"|[A-Z]+"
    r"|\d+"
    r"|[^\W\d_A-Za-z]+"  # letters without case rules of their own: é, 検索
)


def fold(word: str) -> str:
    """`word` in lower case and without its English plural, so that "retries" finds `retry`.

    Harman's S-stemmer: it changes no other ending, and so seldom joins words that differ.
    """
    word = word.lower()
    if len(word) > 3 and word.endswith("s"):
        if word.endswith("ies") and not word.endswith(("eies", "aies")):
            return word[:-3] + "y"
        if word.endswith(("sses", "shes", "ches", "xes")):
            return word[:-2]
        if not word.endswith(("us", "ss", "is")):
            return word[:-1]
    return word


@lru_cache(maxsize=1 << 16)
def split_identifier(identifier: str) -> tuple[str, ...]:
    """Lower-case parts of a camelCase, PascalCase, snake_case or kebab-case name: `HTTPServer` → `http`, `server`.

    An accented letter does not end a part, and digits are a part of their own: `sha256sum` → `sha`, `256`, `sum`.
    """
    if not identifier.isascii():
        # Words outside ASCII follow no casing habit that could be relied on: only separators split them.
        return tuple(part.lower() for part in re.split(r"[_\W]+", identifier) if part)
    return tuple(part.lower() for part in _PART.findall(identifier))


@lru_cache(maxsize=1 << 16)
def _words_of(token: str) -> tuple[str, tuple[str, ...]]:
    parts = split_identifier(token)
    whole = fold("".join(parts))
    if len(parts) < 2:
        return whole[:MAX_WORD], ()
    return whole[:MAX_WORD], tuple(fold(p)[:MAX_WORD] for p in parts if len(p) > 1)


def tokens(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every word of `text` as (whole, parts), folded; `parts` is empty where the word is not a compound.

    The whole of a compound leaves its separators out: `read_file`, `readFile` and `read-file` are one word.
    """
    return [found for found in map(_words_of, _TOKEN.findall(text)) if found[0]]


def words(text: str) -> list[str]:
    """Wholes and parts of every word of `text`, in order and with repeats."""
    return [word for whole, parts in tokens(text) for word in (whole, *parts)]
