"""Where a name is defined, and where it is used."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.search import Line, SymbolResult
from bawn.search.backend import Scope, SearchBackend
from bawn.search.documents import IndexDocument
from bawn.search.identifiers import words
from bawn.search.query import read_query
from bawn.search.ranking import KIND_FACTORS, rank
from bawn.search.results import chunk_of, cut_line

MAX_NAME: Final = 200
_LINES_OF_CHUNK: Final = 3
"""References that are shown of one chunk."""
_NAME: Final = re.compile(r"\w+")


class _Name(msgspec.Struct, frozen=True):
    """What was asked for: `Owner.name`, `owner::name`, `name()` or the bare name."""

    name: str
    owners: tuple[str, ...]
    """Enclosing names, outermost first."""
    folded: str


def find_symbol(backend: SearchBackend, name: str, scope: Scope, limit: int) -> SymbolResult:
    """At most `limit` definitions of `name`, and as many lines that use it.

    Where nothing is defined under exactly this name, one that differs in case or separators alone is taken.

    Raises:
        InvalidRequest: `name` is no name.
    """
    asked = _read(name)
    documents = backend.candidates([asked.folded, *(words(owner)[0] for owner in asked.owners)], scope)
    ranked = rank(read_query(name), documents, backend.statistics([asked.folded]), len(documents) or 1)
    ordered = [one.document for one in ranked]
    defining = [(document, symbol) for document in documents for symbol in document.symbols if _last(symbol)]
    exact = [one for one in defining if _last(one[1]) == asked.name]
    found = exact or [one for one in defining if words(_last(one[1]))[:1] == [asked.folded]]
    if asked.owners:
        # An owner that nothing has says nothing: `utils.read` may be an alias of where it is used.
        found = [one for one in found if _is_owned(asked, *one)] or found
    found.sort(key=lambda one: (-KIND_FACTORS[one[0].kind], one[0].repo, one[0].path, one[0].start_line))
    definitions: dict[int, IndexDocument] = {}
    for document, _ in found:
        definitions.setdefault(id(document), document)
    names = {_last(symbol) for _, symbol in found} or {asked.name}
    # A call or a type is a use for sure; a word in a comment may be one.
    ordered.sort(key=lambda document: names.isdisjoint(document.references))
    references = list(_references(ordered, names, set(definitions), limit))
    return SymbolResult([chunk_of(document) for document in list(definitions.values())[:limit]], references)


def _read(name: str) -> _Name:
    parts = _NAME.findall(name) if len(name) <= MAX_NAME else []
    folded = words(parts[-1])[:1] if parts else []
    if not folded or len(name.split()) > 1:
        raise InvalidRequest("`name` must be one name, like `Pool.acquire` or `read_file`.", param="name")
    return _Name(parts[-1], tuple(parts[:-1]), folded[0])


def _last(symbol: str) -> str:
    parts = _NAME.findall(symbol)
    return parts[-1] if parts else ""


def _is_owned(asked: _Name, document: IndexDocument, symbol: str) -> bool:
    around = {*_NAME.findall(document.context), *_NAME.findall(symbol)[:-1], *document.symbols}
    return asked.owners[-1] in around


def _references(documents: Sequence[IndexDocument], names: set[str], defining: set[int], limit: int) -> Iterator[Line]:
    used = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)")
    left = limit
    for document in documents:
        lines = [(at, line) for at, line in enumerate(document.text.split("\n")) if used.search(line)]
        # The first line of a definition that has the name is the definition itself.
        for at, line in lines[1 if id(document) in defining else 0 :][: min(left, _LINES_OF_CHUNK)]:
            left -= 1
            yield Line(document.repo, document.path, document.start_line + at, cut_line(line))
        if left <= 0:
            return
