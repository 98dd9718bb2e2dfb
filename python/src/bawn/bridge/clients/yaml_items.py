"""Edits of lists in a YAML file that leave every other line as it is."""

import io
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bawn.bridge.clients.client import BrokenFile

Item = dict[str, Any]


class YamlLists:
    """A YAML mapping whose members are lists of named items (`- name: …`), and its text.

    Whole lines are inserted and cut at the places that the parser gives; nothing else is printed anew.
    """

    def __init__(self, text: str) -> None:
        """Parse `text`; an empty one is an empty mapping.

        Raises:
            BrokenFile: names the line and what was expected there.
        """
        self.text = text
        self._parse()

    def _parse(self) -> None:
        try:
            root = YAML().compose(self.text)
            self.data: Any = YAML(typ="safe", pure=True).load(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"line {mark.line + 1}: " if mark is not None else ""
            raise BrokenFile(f"{place}{error.problem or 'not valid YAML'}") from error
        except (YAMLError, ValueError) as error:
            raise BrokenFile("it is not valid YAML") from error
        if root is not None and not isinstance(root, MappingNode):
            raise BrokenFile("line 1: expected a mapping (`key: value`)")
        if root is not None and root.flow_style:
            raise BrokenFile("line 1: written in braces; put its keys on lines of their own first")
        self._root = root
        self._lines = self.text.splitlines(keepends=True)

    def items(self, key: str) -> list[Item]:
        """The named items of the list `key`.

        Raises:
            BrokenFile: `key` holds something that is not a list.
        """
        value = self.data.get(key) if isinstance(self.data, dict) else None
        if value is not None and not isinstance(value, list):
            pair = self._pair(key)
            line = pair[0].start_mark.line + 1 if pair else 1
            raise BrokenFile(f"line {line}: expected `{key}` to be a list")
        return [item for item in value or [] if isinstance(item, dict) and "name" in item]

    def append(self, key: str, item: Item) -> None:
        """Add `item` at the end of the list `key`, which is made where it lacks."""
        self.items(key)
        pair = self._pair(key)
        if pair is None:
            self._insert(len(self._lines), f"{key}:\n{_block(item, 2)}")
            return
        name, value = pair
        if isinstance(value, SequenceNode) and value.flow_style and value.value:
            # A list in brackets takes an item as JSON, which is YAML too.
            end = value.value[-1].end_mark.index
            self.text = f"{self.text[:end]}, {msgspec.json.encode(item).decode()}{self.text[end:]}"
            self._parse()
        elif isinstance(value, SequenceNode) and value.value:
            self._insert(_last_line(value) + 1, _block(item, value.start_mark.column))
        else:
            if isinstance(value, SequenceNode):  # []
                self.text = self.text[: value.start_mark.index].rstrip(" ") + self.text[value.end_mark.index :]
                self._parse()
            self._insert(name.start_mark.line + 1, _block(item, 2))

    def remove(self, key: str, name: str) -> None:
        """Take the items called `name` out of the list `key`, and the list when nothing is left of it.

        Raises:
            BrokenFile: the item shares a line with something else.
        """
        while any(item["name"] == name for item in self.items(key)):
            pair = self._pair(key)
            assert pair is not None  # noqa: S101 - it has items
            found = next(node for node in pair[1].value if _named(node, name))
            alone = len(pair[1].value) == 1
            begin = pair[0].start_mark.line if alone else found.start_mark.line
            end = _last_line(pair[1] if alone else found) + 1
            if not alone and getattr(pair[1], "flow_style", False):
                raise BrokenFile(f"line {begin + 1}: the list is in brackets; take the item `{name}` out by hand")
            self.text = "".join(self._lines[:begin] + self._lines[end:])
            self._parse()

    def _insert(self, line: int, block: str) -> None:
        lines = self._lines
        if line and line <= len(lines) and not lines[line - 1].endswith("\n"):
            lines[line - 1] += "\n"
        self.text = "".join(lines[:line]) + block + "".join(lines[line:])
        self._parse()

    def _pair(self, key: str) -> tuple[ScalarNode, Node] | None:
        pairs: list[Any] = [] if self._root is None else self._root.value
        return next(((name, value) for name, value in pairs if name.value == key), None)


def _named(node: Node, name: str) -> bool:
    return isinstance(node, MappingNode) and any(k.value == "name" and v.value == name for k, v in node.value)


def _last_line(node: Node, key: Node | None = None) -> int:
    """The last line (from 0) with text of `node`; what the parser counts to a block goes on past its comments."""
    if isinstance(node, MappingNode | SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last_line(last[1], last[0]) if isinstance(last, tuple) else _last_line(last)
    if node.start_mark.index == node.end_mark.index:  # nothing after the colon
        return (key or node).end_mark.line
    if node.end_mark.column == 0 and node.end_mark.line > node.start_mark.line:
        return node.end_mark.line - 1
    return node.end_mark.line


def _block(item: Item, indent: int) -> str:
    out = io.StringIO()
    printer = YAML()
    printer.width = 10_000
    printer.dump([item], out)
    return "".join(f"{' ' * indent}{line}\n" for line in out.getvalue().splitlines())
