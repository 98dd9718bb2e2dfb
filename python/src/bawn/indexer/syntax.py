"""What tree-sitter says of a file: its definitions, and the syntax nodes that chunks are made of."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import tree_sitter

from bawn.indexer.grammars import grammar

_LEADING: Final = frozenset({"decorator", "attribute_item", "inner_attribute_item", "annotation", "marker_annotation"})
_HEADINGS: Final = frozenset({"atx_heading", "setext_heading"})
_PAGES: Final = frozenset({"document", "element", "script_element"})
_QUOTES: Final = "\"'`#:"
"""What is around names in some languages and is no part of them: `"web"`, `:build`, `#secret`."""
_MAX_NAME: Final = 200
_WIDEST: Final = 20_000
"""Children of one node. tree-sitter's queries take time quadratic in it: a table of a megabyte would take minutes."""


class Unparsable(Exception):
    """The file is too wide for its parser's queries."""


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


class Reference(msgspec.Struct, frozen=True):
    """A name that is used on a row, from 0."""

    name: str
    row: int


class Syntax(msgspec.Struct, frozen=True):
    """A parsed file."""

    definitions: list[Definition]
    """In the order of their names."""
    references: list[Reference]
    """In the order of the file."""
    units: list[Unit]
    """In the order of the file; rows between them have no syntax."""
    unread: list[tuple[int, int]]
    """Runs of rows that the grammar can't read: errors, and scripts in pages."""


def parse(source: bytes, language: str, offsets: Sequence[int], largest: int) -> Syntax:
    """Parse UTF-8 `source`; nodes of more than `largest` characters are taken apart.

    `offsets[row]` is the number of characters before a row; it has one entry more than there are rows. What is
    ambiguous at every character takes more time and memory than any source does: a process that can be ended bounds it.

    Raises:
        Unparsable: one of its nodes has more children than a query can go through.
    """
    loaded, query = grammar(language)
    # Not by a callback that could stop it: the binding loses all that a callback returns, and memory with it.
    root = tree_sitter.Parser(loaded).parse(source).root_node
    if _is_too_wide(root):
        raise Unparsable
    definitions, references = _names(source, root, query)
    return Syntax(definitions, references, list(_units(root, offsets, largest)), list(_unread(root)))


def _is_too_wide(root: tree_sitter.Node) -> bool:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.child_count > _WIDEST:
            return True
        stack.extend(child for child in node.children if child.end_byte - child.start_byte > _WIDEST)
    return False


def _last_row(node: tree_sitter.Node) -> int:
    end = node.end_point
    # A node that takes the line break along ends in column 0 of a row that it has nothing of.
    return end.row - 1 if end.column == 0 and end.row > node.start_point.row else end.row


def _names(source: bytes, root: tree_sitter.Node, query: tree_sitter.Query) -> tuple[list[Definition], list[Reference]]:
    found: dict[tuple[int, int], Definition] = {}
    used: dict[tuple[int, int], Reference] = {}

    def text_of(node: tree_sitter.Node) -> str:
        return source[node.start_byte : node.end_byte].decode(errors="replace").strip()

    for _, captures in tree_sitter.QueryCursor(query).matches(root):
        for node in captures.get("ref", ()):
            name = text_of(node)
            if 1 < len(name) <= _MAX_NAME:
                used[node.start_byte, node.end_byte] = Reference(name, node.start_point.row)
        if "def" not in captures:
            continue
        whole = captures["def"][0]
        for nodes, defines in _named(captures):
            texts = [text_of(node) for node in nodes]
            # `Server::run` of C++ is `run`, and its owner is `Server`.
            owner, _, last = texts[-1].rpartition("::") if defines else ("", "", texts[-1])
            name = ".".join(text.strip(_QUOTES) for text in (*texts[:-1], last))
            if not name or len(name) > _MAX_NAME:
                continue
            if owners := captures.get("owner"):
                owner = text_of(owners[0]).strip(_QUOTES)
            row, end = nodes[0].start_point.row, _last_row(whole) + 1
            definition = Definition(" ".join(name.split()), row, whole.start_point.row, end, owner, defines)
            # Two patterns may see one name: `const f = () => …` is a constant and a function.
            found.setdefault((nodes[0].start_byte, nodes[-1].end_byte), definition)
    # The name in a definition is no use of it, whatever a pattern of types says.
    return [found[key] for key in sorted(found)], [used[key] for key in sorted(used) if key not in found]


def _named(captures: dict[str, list[tree_sitter.Node]]) -> Iterator[tuple[list[tree_sitter.Node], bool]]:
    """The nodes of each name in a match, and whether it is defined there."""
    if parts := captures.get("part"):
        yield parts, True
    for node in captures.get("name", ()):
        yield [node], True
    for node in captures.get("scope", ()):
        yield [node], False


def _unread(root: tree_sitter.Node) -> Iterator[tuple[int, int]]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.is_error or node.type == "raw_text":
            yield node.start_point.row, _last_row(node) + 1
        elif node.has_error or node.type in _PAGES:
            stack.extend(node.children)


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
