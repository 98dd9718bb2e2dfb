"""The definitions of a file, by its language."""

from functools import lru_cache

from bench.search.code.braces import brace_definitions
from bench.search.code.definitions import Definition
from bench.search.code.python import python_definitions
from bench.search.kinds import language


@lru_cache(maxsize=1 << 14)
def definitions(path: str, text: str) -> tuple[Definition, ...]:
    """What a file defines, in the order of its lines; nothing where that can't be told."""
    of = language(path)
    if of == "python":
        return tuple(python_definitions(text))
    return tuple(brace_definitions(text, of)) if of else ()
