"""The map of a repository: its files with the names they define, those that are used most, within a budget."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import log1p
from pathlib import PurePosixPath
from time import monotonic
from typing import Final

import msgspec

from bawn.contracts.search import Outline
from bawn.search.backend import Scope, SearchBackend
from bawn.search.documents import IndexDocument
from bawn.search.identifiers import split_identifier, words
from bawn.search.ranking import KIND_FACTORS
from bawn.search.rendering import CHARACTERS_PER_TOKEN

WITHIN_S: Final = 5.0
"""Seconds after which no further file is read."""
_FILES_AT_ONCE: Final = 256
_WORDS_AT_ONCE: Final = 2000
_LINE: Final = 100
"""Characters of a line that defines a name."""
_NAMES_OF_FILE: Final = 6
_COMMON: Final = 0.05
"""A name that is in more than this share of all chunks says nothing: `get`, `__init__`."""


class _Defined(msgspec.Struct, frozen=True):
    line: int
    text: str
    word: str
    weight: float


class _File(msgspec.Struct):
    path: str
    factor: float
    defined: list[_Defined]


def outline(
    backend: SearchBackend,
    repo: str,
    scope: Scope,
    budget_tokens: int,
    *,
    within_s: float = WITHIN_S,
    clock: Callable[[], float] = monotonic,
) -> Outline:
    """The files of `repo` in `scope` as a map of at most `budget_tokens` tokens.

    A name counts by the number of chunks that use it, a file by its best names; what ranks lower in searches
    (tests, documentation, what others wrote) ranks lower here.
    """
    listed = backend.files(scope)
    until = clock() + within_s
    files: list[_File] = []
    for at in range(0, len(listed), _FILES_AT_ONCE):
        if files and clock() > until:
            break
        files += _read(backend.documents(listed[at : at + _FILES_AT_ONCE]))
    uses = _uses(backend, Counter(one.word for file in files for one in file.defined))
    ranked = sorted(files, key=lambda file: (-_worth(file, uses), file.path))
    text, shown = _rendered(ranked, uses, budget_tokens * CHARACTERS_PER_TOKEN)
    return Outline(repo=repo, text=text, shown_files=shown, files=len(listed))


def _read(documents: Iterable[IndexDocument]) -> list[_File]:
    chunks: dict[str, list[IndexDocument]] = defaultdict(list)
    for document in documents:
        chunks[document.path].append(document)
    found: list[_File] = []
    for path, own in chunks.items():
        own.sort(key=lambda one: one.start_line)
        defined = [one for document in own for one in _definitions(document)]
        found.append(_File(path, KIND_FACTORS[own[0].kind], defined))
    return found


def _definitions(document: IndexDocument) -> list[_Defined]:
    lines = document.text.split("\n")
    found: list[_Defined] = []
    for symbol in document.symbols:
        name = re.split(r"\W+", symbol)[-1] or symbol
        has_name = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        at = next((at for at, line in enumerate(lines) if has_name.search(line)), None)
        word = words(name)[:1]
        if at is not None and word:
            found.append(_Defined(document.start_line + at, lines[at].strip()[:_LINE], word[0], _weight(name)))
    return found


def _weight(name: str) -> float:
    """How sure it is that a mention of the name means what is defined: `start` is a word of everybody's."""
    if name.startswith("_"):
        return 0.1
    if len(split_identifier(name)) > 1:
        return 1.0
    return 0.5 if name[0].isupper() else 0.15


def _uses(backend: SearchBackend, defined: Counter[str]) -> dict[str, float]:
    """How much each name is used; one that is defined in many places, as fields are, says little of each."""
    asked = sorted(defined)
    uses: dict[str, float] = {}
    for at in range(0, len(asked), _WORDS_AT_ONCE):
        statistics = backend.statistics(asked[at : at + _WORDS_AT_ONCE])
        most = max(20.0, _COMMON * statistics.documents)
        for word, count in statistics.frequency.items():
            used = max(0, count - defined[word]) if count <= most else 0
            uses[word] = log1p(used) / defined[word]
    return uses


def _worth(file: _File, uses: dict[str, float]) -> float:
    best = sorted({one.word: _use(one, uses) for one in file.defined}.values(), reverse=True)
    depth = len(PurePosixPath(file.path).parts)
    return file.factor * (sum(best[:_NAMES_OF_FILE]) + 1.0 / depth)


def _use(defined: _Defined, uses: dict[str, float]) -> float:
    return defined.weight * uses.get(defined.word, 0.0)


def _rendered(files: Sequence[_File], uses: dict[str, float], room: int) -> tuple[str, int]:
    """The best files, and of each its best names, shown by path and line, in `room` characters of JSON."""
    sections: dict[str, str] = {}
    for file in files:
        left = room - _written(f"{file.path}\n")
        lines: dict[int, str] = {}
        for one in sorted(file.defined, key=lambda one: (-_use(one, uses), one.line))[:_NAMES_OF_FILE]:
            line = f"  {one.line}: {one.text}\n"
            if _written(line) > left:
                break
            if one.line not in lines:
                lines[one.line] = line
                left -= _written(line)
        if left < 0 or (file.defined and not lines):
            break
        sections[file.path] = f"{file.path}\n" + "".join(lines[line] for line in sorted(lines))
        room = left
    return "".join(sections[path] for path in sorted(sections)), len(sections)


def _written(text: str) -> int:
    return len(msgspec.json.encode(text).decode()) - 2
