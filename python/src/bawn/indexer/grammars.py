"""The tree-sitter grammars and, for each, the query that finds what a file defines and what it uses.

The queries are files in `queries/`, in tree-sitter's own notation. Their captures:

- `@def` is a whole definition and `@name` its name; several `@part` are the parts of one name, joined by dots.
- `@scope` instead of `@name` encloses without defining: an `impl` block, a heading, a key with a mapping below it.
- `@owner` is what a name belongs to without being written in it: the type of a method, the schema of a table.
- `@ref` is a name that is called, or that stands where a type does.

What begins with `_` is for the predicates of its own pattern.
"""

import importlib
from functools import cache
from importlib import resources
from typing import Final

import msgspec
import tree_sitter


class _Grammar(msgspec.Struct, frozen=True):
    """Where a grammar comes from, and the queries that are made for it."""

    wheel: str
    queries: tuple[str, ...]
    function: str = "language"


# No wheel has a grammar of Protocol Buffers alone: `blocks.py` reads them, and what else has braces.
_GRAMMARS: Final = {
    name: _Grammar(f"tree_sitter_{name}", (name,))
    for name in (
        "bash", "c", "css", "go", "hcl", "html", "java", "json", "kotlin", "markdown", "nix", "python", "ruby", "rust",
        "scala", "sql", "swift", "toml", "yaml",
    )
} | {
    "cpp": _Grammar("tree_sitter_cpp", ("c", "cpp")),
    "csharp": _Grammar("tree_sitter_c_sharp", ("csharp",)),
    "javascript": _Grammar("tree_sitter_javascript", ("javascript", "jsx")),
    "php": _Grammar("tree_sitter_php", ("php",), "language_php"),
    "starlark": _Grammar("tree_sitter_python", ("python", "starlark")),
    "svelte": _Grammar("tree_sitter_html", ("html",)),
    "tsx": _Grammar("tree_sitter_typescript", ("javascript", "typescript", "jsx"), "language_tsx"),
    "typescript": _Grammar("tree_sitter_typescript", ("javascript", "typescript"), "language_typescript"),
    "vue": _Grammar("tree_sitter_html", ("html",)),
}  # fmt: skip


def languages() -> set[str]:
    """The languages that are cut along their syntax."""
    return set(_GRAMMARS)


def has_grammar(language: str) -> bool:
    """Whether files of `language` are cut along their syntax."""
    return language in _GRAMMARS


@cache
def grammar(language: str) -> tuple[tree_sitter.Language, tree_sitter.Query]:
    """The grammar of a language and its query; loaded once in a process."""
    known = _GRAMMARS[language]
    pointer: object = getattr(importlib.import_module(known.wheel), known.function)()
    loaded = tree_sitter.Language(pointer)
    folder = resources.files("bawn.indexer") / "queries"
    source = "".join((folder / f"{name}.scm").read_text(encoding="utf-8") for name in known.queries)
    return loaded, tree_sitter.Query(loaded, source)
