"""Rules of a grammar in GBNF: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md."""

from collections.abc import Iterable, Mapping
from typing import Final

_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def literal(text: str) -> str:
    """Exactly `text`."""
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


def one_of(chars: Iterable[str], *, negated: bool = False) -> str:
    """One character of `chars`, or with `negated` any other."""
    return "[" + ("^" if negated else "") + "".join(f"\\U{ord(char):08X}" for char in sorted(chars)) + "]"


class Rules:
    """The rules of one grammar, by name."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self._count = 0

    def add(self, body: str, name: str = "") -> str:
        """A rule; returns its name. `body` may name rules that are added later."""
        if not name:
            self._count += 1
            name = f"r{self._count}"
        self._rules[name] = body
        return name

    @property
    def size(self) -> int:
        """How many rules there are: part of a name that no other has."""
        return len(self._rules)

    def take(self, text: str) -> None:
        """Add rules that are written already, one a line; those of a name that is known are the same."""
        for line in text.splitlines():
            name, _, body = line.partition(" ::= ")
            self._rules[name] = body

    def free_text(self, marks: Mapping[str, str | None], *, may_end: bool) -> str:
        """Text that is free up to the first of `marks`; returns the rule's name.

        What follows a mark is the rule that it maps to; a mark without one can't be written at all. Longest match,
        after Aho and Corasick, "Efficient string matching" (1975): the rules are the automaton's states, so that
        there is one way to read a text, and following it costs next to nothing.

        Args:
            marks: texts, not empty, none of which is part of another.
            may_end: the text may end without a mark.
        """
        states = sorted({mark[:size] for mark in marks for size in range(len(mark))}, key=len)
        names = {state: self.add("", f"t{self._count}-{number}") for number, state in enumerate(states)}
        self._count += 1
        alphabet = {char for mark in marks for char in mark}
        for state in states:
            ways: list[str] = []
            to_start: set[str] = set(alphabet)
            for char in sorted(alphabet):
                text = state + char
                mark = next((mark for mark in marks if text.endswith(mark)), None)
                if mark is not None:
                    to_start.discard(char)
                    if (then := marks[mark]) is not None:
                        ways.append(f"{literal(char)} {then}")
                    continue
                target = next(text[at:] for at in range(len(text) + 1) if text[at:] in names)
                if target:
                    to_start.discard(char)
                    ways.append(f"{literal(char)} {names[target]}")
            ways.append(f"{one_of(alphabet - to_start, negated=True)} {names['']}")
            if may_end:
                ways.append('""')
            self._rules[names[state]] = " | ".join(ways)
        return names[""]

    def text(self) -> str:
        """The grammar; its root is the rule `root`."""
        return "".join(f"{name} ::= {body}\n" for name, body in self._rules.items())
