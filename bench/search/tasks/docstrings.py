"""Comment → function, as CodeSearchNet has it: what is said of a function asks for it, and is nowhere in its code.

Every comment of a function is taken out of the copy, and the first paragraph of some is the question. As there,
paragraphs of less than three words, functions of less than three lines, tests and special methods are left out, and so
is what is said of two functions. A paragraph that has the function's own name, as no word could be, is left out too: it
would be a symbol search.
"""

import re
from collections import Counter
from typing import Final

from bench.search.code.definitions import Definition, without_comments
from bench.search.code.reading import definitions
from bench.search.corpora import Corpus
from bench.search.kinds import is_source
from bench.search.places import Place, Query
from bench.search.tasks.task import Asked, sample
from bench.search.words import compound

_LEAST_WORDS: Final = 3
_LEAST_LINES: Final = 3
_MOST_CHARACTERS: Final = 600
_ROLE: Final = re.compile(r"[:{][\w:.+-]+[:}]`~?([^`<]*?)\s*(?:<[^`>]*>)?`")
_LINK: Final = re.compile(r"\{@\w+\s+([^}\s|]+)[^}]*\}|\[`?([^]`]+)`?\](?:\([^)]*\))?")
_OPENS_WITH_NAME: Final = re.compile(r"^[\w.:]+\s*\(\)\s*:?\s*|^@(?:brief|description|desc)\s+", re.IGNORECASE)
_PARAGRAPH_ENDS: Final = re.compile(r"\n\s*\n|\n\s*(?:@|\\)\w+|\n\s*#+ |\n\s*(?::\w+|\.\. \w)|\n\s*[-=]{3,}|\n\s*```")
_STARTS_A_TAG: Final = re.compile(r"^(?:@|\\|:)\w+|^(?:TODO|FIXME|XXX|HACK)\b")
_RULE: Final = re.compile(r"[*=~-]{3,}")


def ask(corpus: Corpus, most: int) -> Asked:
    """The questions, and the corpus without the comments of functions."""
    files: dict[str, str] = dict(corpus.files)
    found: list[Query] = []
    for path, text in corpus.files.items():
        said = [one for one in definitions(path, text) if one.sort == "function" and one.comment]
        if not said:
            continue
        files[path], place = without_comments(text, said)
        if is_source(path):
            found += [
                Query(paragraph, (Place(path, *place(one)),))
                for one in said
                if (paragraph := _question(one)) is not None
            ]
    times = Counter(query.text.lower() for query in found)
    once = [query for query in found if times[query.text.lower()] == 1]
    return Asked(files, sample(once, most, "docstrings", corpus.name))


def _question(definition: Definition) -> str | None:
    name = definition.name
    if "test" in name.lower() or (name.startswith("__") and name.endswith("__")):
        return None
    if definition.hollow or definition.code_lines < _LEAST_LINES:
        return None
    text = first_paragraph(definition.doc)
    if len(re.findall(r"[A-Za-z]{2,}", text)) < _LEAST_WORDS or len(text) > _MOST_CHARACTERS:
        return None
    if compound(name) and re.search(rf"(?<!\w){re.escape(name.strip('_'))}(?!\w)", text):
        return None
    return text


def first_paragraph(doc: str) -> str:
    """What a comment says first, as plain text; empty where that is a tag."""
    text = _OPENS_WITH_NAME.sub("", _RULE.sub("", doc).strip(" \t\n*-"))
    if _STARTS_A_TAG.match(text):
        return ""
    text = _PARAGRAPH_ENDS.split(text, maxsplit=1)[0]
    text = _ROLE.sub(r"\1", text)
    text = _LINK.sub(lambda match: match[1] or match[2], text)
    return " ".join(text.replace("`", "").replace("*", "").split())
