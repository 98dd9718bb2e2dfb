"""Words of names and of sentences, split by the bench itself: nothing leans on what it judges."""

import re
from typing import Final

STOP_WORDS: Final = frozenset(
    """
    a an and any are as at be been but by can did do does for from had has have how i if in into is it its may must no
    not of on one only or other our set should so such than that the their then there these this to use used uses using
    was we were what when where whether which who will with would you your
    """.split()  # noqa: SIM905 - a hundred quoted words can't be read
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*|\d+")
_PART: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def parts(name: str) -> list[str]:
    """Lower-case parts of a name: `parseHTTPDate_2` → parse, http, date, 2."""
    return [part.lower() for part in _PART.findall(name)]


def words(text: str) -> list[str]:
    """Every word in lower case, each name followed by its parts if it has several."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found.append(word.lower())
        split = parts(word)
        if len(split) > 1:
            found += split
    return found


def asked(text: str) -> list[str]:
    """The words of a question that say something, each once; all of them where none does."""
    every = list(dict.fromkeys(words(text)))
    return [word for word in every if word not in STOP_WORDS and len(word) > 1] or every


def compound(name: str) -> bool:
    """Whether a name could be no word of a sentence: it has two parts or more."""
    return len(parts(name)) > 1
