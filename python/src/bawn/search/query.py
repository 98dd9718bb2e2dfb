"""What a query asks for: its words, and whether it names a symbol, a path, or describes something."""

import re
from typing import Final, Literal

import msgspec

from bawn.search.identifiers import fold, tokens

MAX_WORDS: Final = 16
"""Words of a query that count; a pasted stack trace has hundreds."""

QueryClass = Literal["symbol", "path", "prose"]

# Question words and fillers: what is left of "where is the retry backoff computed" is what is looked for.
_STOP_WORDS: Final = frozenset(
    map(
        fold,
        """
        a an and any are as at be been by can could do does doing done for from get gets give given has have how i if
        in into is it its me my of on or our please show should so some tell than that the their them then there
        these they this those to us use used uses using was way we were what when where which who why will with
        would you your find code implemented implementation defined definition function class method file located
        """.split(),  # noqa: SIM905 a hundred quoted words can't be read
    )
)
_PATH: Final = re.compile(
    r"(?:\.{0,2}/)?[\w.@+-]*(?:/[\w.@+-]+)+/?|[\w.-]+\.(?:"
    + "|".join(
        """
    bash c cc cfg conf cpp cs css cxx go h hpp html hxx ini java js json jsx kt lua md mjs nix php pl proto ps1 py pyi
    rb rs rst scala sh sql svelte swift tf toml ts tsx txt vue xml yaml yml zig
    """.split()  # noqa: SIM905 as above
    )
    + ")"
)
_QUALIFIED: Final = re.compile(r"(?:[^\W\d]\w*(?:\.|::|->|#))*[^\W\d]\w*(?:\(\))?[?!]?")
_COMPOUND: Final = re.compile(r"_|[a-z\d][A-Z]|\.|::|->|#|\(\)|^[A-Z]")
_NAME: Final = re.compile(r"[^\W\d]\w*")


class Query(msgspec.Struct, frozen=True):
    """A query that was read."""

    kind: QueryClass
    words: tuple[str, ...]
    """Folded words to look for, without repeats: wholes of compounds and their parts."""
    terms: tuple[frozenset[str], ...]
    """The words that the person wrote, each with the folded words that stand for it."""
    names: frozenset[str]
    """Identifiers as written, for exact matches of defined names."""
    wholes: frozenset[str]
    """Of a query by name: the folded names, without their parts."""
    path: str
    """The path or file name in the query; empty where it has none."""
    wants: frozenset[str]
    """Kinds of file that the query itself speaks of."""


def _wanted_kinds(words: set[str]) -> frozenset[str]:
    kinds = {
        "test": {"test", "testing", "tested", "fixture", "unittest", "pytest"},
        "docs": {"doc", "documentation", "readme", "guide", "tutorial", "changelog"},
        "vendored": {"vendor", "vendored"},
        "generated": {"generated"},
    }
    return frozenset(kind for kind, marks in kinds.items() if words & marks)


def _names(text: str, kind: QueryClass) -> frozenset[str]:
    names = {name for name in _NAME.findall(text) if fold(name) not in _STOP_WORDS}
    # In a sentence "checked" is a verb; only what looks like an identifier is one.
    return frozenset(names if kind == "symbol" else {name for name in names if _COMPOUND.search(name[1:] or name)})


def _bare(piece: str) -> str:
    return piece.strip("`'\"()[]{},;:?!").rstrip(".")


def read_query(text: str) -> Query:
    """Read a query; it has no `words` where the text has none that could be looked for."""
    stripped = text.strip().strip("`'\"")
    path = next((piece for piece in map(_bare, stripped.split()) if _PATH.fullmatch(piece)), "")
    kind: QueryClass = "prose"
    if path and path == stripped:
        kind = "path"
    elif _QUALIFIED.fullmatch(stripped) or all(
        _QUALIFIED.fullmatch(piece) and _COMPOUND.search(piece) for piece in stripped.split()
    ):
        kind = "symbol"
    found = [(whole, parts) for whole, parts in tokens(stripped)]
    kept = [
        (whole, parts) for whole, parts in found if whole not in _STOP_WORDS and (len(whole) > 1 or kind != "prose")
    ]
    words: dict[str, None] = {}
    terms: list[frozenset[str]] = []
    for whole, parts in kept or found:
        if len(words) >= MAX_WORDS:
            break
        words[whole] = None
        words.update(dict.fromkeys(parts))
        terms.append(frozenset(parts or (whole,)))
    return Query(
        kind=kind,
        words=tuple(words),
        terms=tuple(dict.fromkeys(terms)),
        names=_names(stripped, kind),
        wholes=frozenset(whole for whole, _ in kept or found) if kind == "symbol" else frozenset(),
        path=path,
        wants=_wanted_kinds({whole for whole, _ in found}),
    )
