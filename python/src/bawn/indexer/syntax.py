"""What tree-sitter says of a file: its definitions, and the syntax nodes that chunks are made of."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import tree_sitter

from bawn.indexer.grammars import grammar

_LEADING: Final = frozenset({"decorator", "attribute_item", "inner_attribute_item", "annotation", "marker_annotation"})
_HEADINGS: Final = frozenset({"atx_heading", "setext_heading"})
_MAX_NAME: Final = 200


class Definition(msgspec.Struct, frozen=True):
    """Something that a file defines, or that encloses definitions. Rows are from 0, the end excluded."""

    name: str
    row: int
    """Where the name is."""
    start: int
    end: int
    owner: str
    """The type that it belongs to without being written in it; empty for most."""
    defines: bool
    """False for what only encloses: a heading, an `impl` block."""


class Unit(msgspec.Struct, frozen=True):
    """A run of rows that is better not cut. Rows are from 0, the end excluded."""

    start: int
    end: int
    group: int
    """Units of one group are siblings."""
    depth: int
    """Of the group in the syntax tree: the body of a class is deeper than its header."""
    leads: bool
    """Belongs to what comes after it: a comment, a decorator, a heading."""


class Syntax(msgspec.Struct, frozen=True):
    """A parsed file."""

    definitions: list[Definition]
    """In the order of their names."""
    units: list[Unit]
    """In the order of the file; rows between them have no syntax."""


def parse(source: bytes, language: str, offsets: Sequence[int], largest: int) -> Syntax:
    """Parse UTF-8 `source`; nodes of more than `largest` characters are taken apart.

    `offsets[row]` is the number of characters before a row; it has one entry more than there are rows.
    """
    loaded, query = grammar(language)
    root = tree_sitter.Parser(loaded).parse(source).root_node
    return Syntax(list(_definitions(root, query)), list(_units(root, offsets, largest)))


def _last_row(node: tree_sitter.Node) -> int:
    end = node.end_point
    # A node that takes the line break along ends in column 0 of a row that it has nothing of.
    return end.row - 1 if end.column == 0 and end.row > node.start_point.row else end.row


def _definitions(root: tree_sitter.Node, query: tree_sitter.Query) -> Iterator[Definition]:
    found: dict[tuple[int, int], Definition] = {}
    for _, captures in tree_sitter.QueryCursor(query).matches(root):
        whole = captures["def"][0]
        defines = "name" in captures
        for node in captures["name" if defines else "scope"]:
            text = (node.text or b"").decode(errors="replace").strip()
            # `Server::run` of C++ is `run`, and its owner is `Server`.
            owner, _, name = text.rpartition("::") if defines else ("", "", text)
            if not name or len(name) > _MAX_NAME:
                continue
            if owners := captures.get("owner"):
                owner = (owners[0].text or b"").decode(errors="replace")
            row = node.start_point.row
            definition = Definition(
                name.strip("\"'#"), row, whole.start_point.row, _last_row(whole) + 1, owner, defines
            )
            # Two patterns may see one name: `const f = () => …` is a constant and a function.
            found.setdefault((node.start_byte, node.end_byte), definition)
    for key in sorted(found):
        yield found[key]


def _units(root: tree_sitter.Node, offsets: Sequence[int], largest: int) -> Iterator[Unit]:
    rows = len(offsets) - 1
    # Not recursion: a generated expression is nested deeper than Python's stack.
    stack: list[tuple[tree_sitter.Node, int, int]] = [(child, root.id, 0) for child in reversed(root.children)]
    while stack:
        node, group, depth = stack.pop()
        first, last = node.start_point.row, min(_last_row(node), rows - 1)
        if first >= rows:
            continue
        if offsets[last + 1] - offsets[first] > largest and last > first and node.child_count:
            stack.extend((child, node.id, depth + 1) for child in reversed(node.children))
            continue
        leads = "comment" in node.type or node.type in _LEADING or node.type in _HEADINGS
        yield Unit(first, last + 1, group, depth, leads)
