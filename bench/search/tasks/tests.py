"""Test name → file: what a test checks, in the words of its name, asks for the file that it is about.

The file is known where a test file's name says it (`test_sessions.py` → `sessions.py`, and no other file is called so)
and where the test file says it, too: it imports that module, or a name that the module defines. A commit's subject
would ask in like words, but there is no history in a published archive. The test files that gave the questions are
taken out of the copy: their own words would answer.
"""

import re
from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import Final

from bench.search.code.reading import definitions
from bench.search.corpora import Corpus
from bench.search.kinds import is_source, is_test, language
from bench.search.places import Place, Query
from bench.search.tasks.task import Asked, sample
from bench.search.words import parts

_LEAST_WORDS: Final = 3
_STEM: Final = re.compile(r"^test_?|[._-]?tests?$|\.spec$", re.IGNORECASE)
_PYTHON_IMPORT: Final = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?import\s+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_JS_IMPORT: Final = re.compile(r"import\s+([^'\"]*?)\s+from\s+['\"]([^'\"]+)['\"]|require\(['\"]([^'\"]+)['\"]\)")
_JS_TEST: Final = re.compile(r"^\s*(?:it|test)(?:\.\w+)?\(\s*(['\"`])(.+?)\1", re.MULTILINE)


def ask(corpus: Corpus, most: int) -> Asked:
    """The questions, and the corpus without the test files that they are from."""
    subjects = _subjects(corpus)
    found = [
        (test, Query(question, (Place(subject),)))
        for test, subject in subjects.items()
        for question in _questions(test, corpus.files[test])
    ]
    times = Counter(query.text.lower() for _, query in found)
    once = [(test, query) for test, query in found if times[query.text.lower()] == 1]
    chosen = sample(once, most, "tests", corpus.name)
    used = {test for test, _ in chosen}
    files = {path: text for path, text in corpus.files.items() if path not in used}
    return Asked(files, [query for _, query in chosen])


def _subjects(corpus: Corpus) -> dict[str, str]:
    """The file that each test file is about, where that is plain."""
    stems: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path in corpus.files:
        if is_source(path):
            stems[_family(path), _stem(path)].append(path)
    found: dict[str, str] = {}
    for path, text in corpus.files.items():
        if not (is_test(path) and _family(path)):
            continue
        named = stems.get((_family(path), _stem(path)), [])
        if len(named) == 1 and _imports(text, named[0], corpus.files[named[0]]):
            found[path] = named[0]
    return found


def _family(path: str) -> str:
    of = language(path)
    return "javascript" if of == "typescript" else of


def _stem(path: str) -> str:
    return _STEM.sub("", PurePosixPath(path).name.partition(".")[0]).strip("_").lower()


def _imports(text: str, subject: str, code: str) -> bool:
    """Whether a test imports its subject, or something that the subject defines."""
    stem = PurePosixPath(subject).name.partition(".")[0]
    defined = {one.name for one in definitions(subject, code)}
    found = [(module, names) for module, names in _PYTHON_IMPORT.findall(text)] if subject.endswith(".py") else []
    found += [(module or required, names) for names, module, required in _JS_IMPORT.findall(text)]
    for module, names in found:
        words = set(re.findall(r"[\w$]+", names))
        if stem in re.split(r"[./]", module) or stem in words or words & defined:
            return True
    return False


def _questions(path: str, text: str) -> list[str]:
    if language(path) == "python":
        names = [one.name for one in definitions(path, text) if one.sort == "function" and one.name.startswith("test")]
        said = [" ".join(parts(name)[1:]) for name in names]
    else:
        said = [" ".join(found[1].split()) for found in _JS_TEST.findall(text) if "${" not in found[1]]
    return [question for question in said if len(re.findall(r"[A-Za-z]{2,}", question)) >= _LEAST_WORDS]
