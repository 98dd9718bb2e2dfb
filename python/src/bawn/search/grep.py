"""Lines that a regular expression matches, within a bound of time."""

import re
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, Final

import re2

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.search import Line, Matches
from bawn.search.backend import Scope, SearchBackend
from bawn.search.identifiers import words
from bawn.search.results import cut_line

MAX_PATTERN: Final = 500
WITHIN_S: Final = 3.0
"""Seconds after which no further file is looked into."""
_FILES_AT_ONCE: Final = 64
_MOST_WORDS: Final = 8
_ESCAPE: Final = re.compile(r"\\[A-Za-z]|\\[0-9]+|\[[^\]]*\]|\{[^}]*\}|\(\?[^)]*\)?")

File = tuple[str, str]
"""Repository and path."""


def grep(
    backend: SearchBackend,
    pattern: str,
    scope: Scope,
    limit: int,
    *,
    ignore_case: bool = False,
    within_s: float = WITHIN_S,
    clock: Callable[[], float] = monotonic,
) -> Matches:
    """At most `limit` lines that `pattern` matches, a regular expression in RE2's syntax, which takes linear time.

    Files that have the pattern's words come first, the others by repository and path, until the time is over.

    Raises:
        InvalidRequest: it is no such expression.
    """
    expression = _compiled(pattern, ignore_case=ignore_case)
    files = backend.files(scope)
    until = clock() + within_s
    likely = _likely(backend, pattern, scope) & set(files)
    found = list(_matches(backend, expression, sorted(likely)))
    searched = len(likely)
    for some in _batches([file for file in files if file not in likely]):
        if len(found) >= limit or clock() > until:
            break
        found += _matches(backend, expression, some)
        searched += len(some)
    return Matches(found[:limit], searched, len(files))


def _compiled(pattern: str, *, ignore_case: bool) -> Any:
    if not pattern or len(pattern) > MAX_PATTERN:
        raise InvalidRequest(f"`pattern` must have 1 to {MAX_PATTERN} characters.", param="pattern")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0] if error.args else ""
        reason = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise InvalidRequest(
            f"`pattern` is no regular expression of RE2 (no look-around, no back-references): {reason}.",
            param="pattern",
        ) from error


def _likely(backend: SearchBackend, pattern: str, scope: Scope) -> set[File]:
    asked = list(dict.fromkeys(words(_ESCAPE.sub(" ", pattern))))[:_MOST_WORDS]
    return {(one.repo, one.path) for one in backend.candidates(asked, scope)} if asked else set()


def _batches(files: Sequence[File]) -> Iterator[Sequence[File]]:
    for at in range(0, len(files), _FILES_AT_ONCE):
        yield files[at : at + _FILES_AT_ONCE]


def _matches(backend: SearchBackend, expression: Any, files: Sequence[File]) -> Iterator[Line]:
    order = {file: at for at, file in enumerate(files)}
    documents = sorted(backend.documents(files), key=lambda one: (order[one.repo, one.path], one.start_line))
    for document in documents:
        for at, line in enumerate(document.text.split("\n")):
            if match := expression.search(line):
                yield Line(document.repo, document.path, document.start_line + at, cut_line(line, match.start()))
