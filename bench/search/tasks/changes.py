"""Changelog line → file: what changed asks for the file where it did.

It stands for commit subject → files: a published archive has no history. A line counts where it names, in code marks,
things of the project that one file of its sources defines, and that file is the answer. The changelogs are taken out of
the copy.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from bench.search.code.reading import definitions
from bench.search.corpora import Corpus
from bench.search.kinds import is_log, is_source
from bench.search.places import Place, Query
from bench.search.tasks.task import Asked, sample
from bench.search.words import compound

_LEAST_WORDS: Final = 5
_MOST_CHARACTERS: Final = 400
_ITEM: Final = re.compile(r"^(\s*)(?:[-*+]|#\d+[:,])\s+(.*)$")
_REFERENCE: Final = re.compile(
    r"[:{](?:issue|pr|ghsa|cve|user|gh|ticket|pull)\w*[:}]`[^`]*`|\(?\[?#\d+\]?(?:\([^)]*\))?\)?|\(?`#?\d+\s*<[^`]*>`_*\)?"
    r"|\[[0-9a-f]{7,}\]\([^)]*\)|https?://\S+|\(by [^)]*\)|-- by.*$|^(?:\d+_,?\s*)+"
)
_ROLE: Final = re.compile(r"[:{][\w:.+-]+[:}]`~?([^`<]*?)\s*(?:<[^`>]*>)?`")
_MARKED: Final = re.compile(r"`+~?([^`<]+?)(?:\(\))?(?:\s*<[^`>]*>)?`+_*")
_AREA: Final = re.compile(r"^\*\*([^*:]+):?\*\*")
"""What a line is about, where commits are written so: `**merge:** …`."""
_LINK_MARK: Final = re.compile(r"(?<=[A-Za-z0-9)])_(?=[\s.,;)]|$)")
_EMPTY: Final = re.compile(r"\((?:[\s,_]*)\)")


def ask(corpus: Corpus, most: int) -> Asked:
    """The questions, and the corpus without its changelogs."""
    homes = _homes(corpus)
    files = {path: text for path, text in corpus.files.items() if not is_log(path)}
    found = [
        Query(question, (Place(home),))
        for path, text in corpus.files.items()
        if is_log(path)
        for item in _items(text)
        if (home := _home(item, homes)) and (question := _question(item))
    ]
    times = Counter(query.text.lower() for query in found)
    once = [query for query in found if times[query.text.lower()] == 1]
    return Asked(files, sample(once, most, "changes", corpus.name))


def _homes(corpus: Corpus) -> dict[str, set[str]]:
    """In which files of the sources each name is defined."""
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for path, text in corpus.files.items():
        if is_source(path):
            for definition in definitions(path, text):
                homes[definition.name].add(path)
    return homes


def _items(text: str) -> Iterator[str]:
    """The items of its lists, each on one line."""
    item, indent = "", 0
    for line in [*text.split("\n"), ""]:
        begins = _ITEM.match(line)
        if begins or not line.strip() or len(line) - len(line.lstrip()) <= indent:
            if item:
                yield item
            item = begins[2] if begins else ""
            indent = len(begins[1]) if begins else 0
        elif item:
            item += " " + line.strip()


def _home(item: str, homes: dict[str, set[str]]) -> str | None:
    """The one file that defines all names of the item that the project defines."""
    plain = _ROLE.sub(r"`\1`", _REFERENCE.sub("", item))
    area = _AREA.match(plain)
    names = [area[1].strip()] if area else []
    places = set().union(*(homes.get(name, ()) for name in names))
    for marked in _MARKED.findall(plain):
        *_, owner, name = ["", *re.split(r"[.:#]+", _LINK_MARK.sub("", marked.strip()).removesuffix("()"))]
        told = next((one for one in (name, owner) if one in homes and (compound(one) or one[:1].isupper())), None)
        places |= homes[told] if told else set()
    return places.pop() if len(places) == 1 else None


def _question(item: str) -> str | None:
    text = _ROLE.sub(r"\1", _REFERENCE.sub("", item)).replace("`", "").replace("**", "")
    text = " ".join(_EMPTY.sub("", _LINK_MARK.sub("", text)).split()).strip(" :,")
    if len(re.findall(r"[A-Za-z]{2,}", text)) < _LEAST_WORDS or len(text) > _MOST_CHARACTERS:
        return None
    return text
