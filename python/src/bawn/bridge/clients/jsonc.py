"""Edits of JSON with comments that leave every other byte of the file as it is."""

import re
from collections.abc import Sequence
from typing import Any, Final

import json5
import msgspec
from json5.loader import ModelLoader
from json5.model import JSONObject, JSONText, Node, String

from bawn.bridge.clients.client import BrokenFile

Path = Sequence[str]

_BLANK: Final = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:\\|.)")
_BACKSLASH: Final = "\uf8fe\uf8ff"
"""Stands for an escaped backslash while json5 reads, which would take it for the beginning of another escape.
It is as long as what it stands for, so that every place stays; it is never written."""
_PLACE: Final = re.compile(r"line (\d+) column (\d+)")


class Jsonc:
    """A JSON5 object (JSON with comments and trailing commas is one) and its text.

    Edits cut and insert text at the places that the parser gives; nothing is printed anew but what changes.
    """

    def __init__(self, text: str) -> None:
        """Parse `text`; an empty one is an empty object.

        Raises:
            BrokenFile: names the line and what was expected there.
        """
        self.text = text if text.strip() else "{\n}\n"
        self._parse()

    def _parse(self) -> None:
        try:
            readable = _ESCAPE.sub(lambda m: _BACKSLASH if m.group() == r"\\" else m.group(), self.text)
            document = json5.loads(readable, loader=ModelLoader())
            self.data: Any = _restored(json5.loads(readable))
        except ValueError as error:  # JSON5DecodeError is one
            raise BrokenFile(_reason(str(error))) from error
        if not isinstance(document, JSONText) or not isinstance(document.value, JSONObject):
            raise BrokenFile("line 1: expected an object in braces")
        self._root = document.value
        starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        self._starts = starts

    def _offset(self, line: int | None, column: int | None) -> int:
        assert line is not None  # noqa: S101 - every parsed node has its place
        assert column is not None  # noqa: S101
        return self._starts[line - 1] + column

    def _begin(self, node: Node) -> int:
        return self._offset(node.lineno, node.col_offset)

    def _end(self, node: Node) -> int:
        return self._offset(node.end_lineno, node.end_col_offset)

    def get(self, path: Path) -> Any:
        """The value at `path`, None where there is none."""
        value = self.data
        for key in path:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    def set(self, path: Path, value: Any) -> None:
        """Put `value` at `path`, replacing what is there, making objects on the way where they lack.

        Raises:
            BrokenFile: something on the way is not an object.
        """
        node = self._root
        for depth, key in enumerate(path):
            member = _member(node, key)
            rest = path[depth + 1 :]
            if member is None:
                for name in reversed(rest):
                    value = {name: value}
                self._insert(node, key, value)
                return
            if not rest:
                if self.get(path) != value:
                    self._replace(self._begin(member[1]), self._end(member[1]), self._print(value, member[1]))
                return
            if not isinstance(member[1], JSONObject):
                raise BrokenFile(f"line {member[1].lineno}: expected `{key}` to be an object in braces")
            node = member[1]

    def remove(self, path: Path) -> None:
        """Take the member at `path` out, its comma and its lines with it; comments beside it stay."""
        node = self._root
        for key in path[:-1]:
            member = _member(node, key)
            if member is None or not isinstance(member[1], JSONObject):
                return
            node = member[1]
        pairs = node.key_value_pairs
        index = next((i for i, (key, _) in enumerate(pairs) if _name(key) == path[-1]), None)
        if index is None:
            return
        cuts = [(self._begin(pairs[index].key), self._end(pairs[index].value))]
        if index + 1 < len(pairs) or node.trailing_comma is not None:
            cuts.append(self._comma_after(self._end(pairs[index].value)))
        elif index > 0:
            cuts.append(self._comma_after(self._end(pairs[index - 1].value)))
        text = self.text
        for begin, end in sorted(cuts, reverse=True):
            text = _cut(text, begin, end)
        self.text = text
        self._parse()

    def _comma_after(self, place: int) -> tuple[int, int]:
        blank = _BLANK.match(self.text, place)
        comma = place if blank is None else blank.end()
        return comma, comma + 1

    def _insert(self, node: JSONObject, key: str, value: Any) -> None:
        close = self._end(node) - 1
        body = self.text[:close].rstrip()
        pairs = node.key_value_pairs
        indent = self._indent(self._begin(pairs[-1].key) if pairs else self._begin(node), deeper=not pairs)
        # Who ends lists with a comma goes on doing so.
        comma = "," if node.trailing_comma is not None else ""
        member = f"\n{indent}{_json(key)}: {self._json(value, indent)}{comma}"
        after = self.text[len(body) : close]
        if "\n" not in after:
            after = f"\n{self._indent(self._begin(node))}"
        text = body + member + after + self.text[close:]
        if pairs and node.trailing_comma is None:
            end = self._end(pairs[-1].value)
            text = text[:end] + "," + text[end:]
        self.text = text
        self._parse()

    def _replace(self, begin: int, end: int, new: str) -> None:
        self.text = self.text[:begin] + new + self.text[end:]
        self._parse()

    def _print(self, value: Any, place: Node) -> str:
        return self._json(value, self._indent(self._begin(place)))

    def _json(self, value: Any, indent: str) -> str:
        printed = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        step = self._step()
        lines = [re.sub(r"^(?:  )*", lambda m: step * (len(m.group()) // 2), line) for line in printed.split("\n")]
        return f"\n{indent}".join(lines)

    def _indent(self, place: int, *, deeper: bool = False) -> str:
        line = self.text[self.text.rfind("\n", 0, place) + 1 : place]
        return line[: len(line) - len(line.lstrip())] + (self._step() if deeper else "")

    def _step(self) -> str:
        found = re.search(r"^([ \t]+)\S", self.text, re.MULTILINE)
        return "  " if found is None else found.group(1)


def _json(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _name(key: Node) -> str:
    return _restored(key.characters) if isinstance(key, String) else getattr(key, "name", "")


def _restored(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_BACKSLASH, "\\")
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if isinstance(value, dict):
        return {_restored(key): _restored(item) for key, item in value.items()}
    return value


def _member(node: JSONObject, name: str) -> tuple[Node, Node] | None:
    # Of two members with one name the last counts, as for every JSON reader.
    return next(((key, value) for key, value in reversed(node.key_value_pairs) if _name(key) == name), None)


def _cut(text: str, begin: int, end: int) -> str:
    line = text.rfind("\n", 0, begin) + 1
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop + 1
    if not text[line:begin].strip() and not text[end:stop].strip():
        return text[:line] + text[stop:]
    return text[:begin] + text[end:]


def _reason(message: str) -> str:
    first = next((line.strip() for line in message.splitlines() if _PLACE.search(line)), "")
    place = _PLACE.search(first)
    if place is None:
        return "it ends before the object is closed"
    said = first[: place.start()].removesuffix(" at: ").removesuffix("(").strip().rstrip(":")
    return f"line {place.group(1)}, column {place.group(2)}: {said[:1].lower()}{said[1:]}"
