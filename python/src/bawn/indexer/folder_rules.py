"""Files in the folders of a repository that say something of the paths below them: `.bawnignore`, `.gitattributes`."""

import codecs
import os
from collections.abc import Callable, Container, Iterator
from typing import Final, Generic, TypeVar

_MAX_SIZE: Final = 1 << 20

Rules = TypeVar("Rules")
ReadFile = Callable[[bytes], bytes | None]
"""Content of the file at a path relative to the repository's root; None where there is none that could be read."""


def outwards(folder: bytes, known: Container[bytes]) -> Iterator[bytes]:
    """`folder` and those that it is in, as far as the first that is `known`, or to the root, which is empty."""
    while True:
        yield folder
        if not folder or folder in known:
            return
        folder = folder.rpartition(b"/")[0]


def lines_of(content: bytes) -> list[str]:
    """The lines of a file of rules, one character a byte: git compares bytes, and a path may be no text."""
    return content.removeprefix(codecs.BOM_UTF8).decode("latin-1").split("\n")


class FolderRules(Generic[Rules]):
    """The files of one name, each read when the first path below its folder is asked for."""

    def __init__(self, name: str, read: ReadFile, parse: Callable[[list[str]], Rules | None]) -> None:
        """`parse` takes the lines of a file, and gives None where they say nothing."""
        self._name = os.fsencode(name)
        self._read = read
        self._parse = parse
        self._chains: dict[bytes, tuple[tuple[int, Rules], ...]] = {}

    def above(self, folder: bytes) -> tuple[tuple[int, Rules], ...]:
        """What is said from the root down to `folder`, each with the length of its folder's prefix in a path."""
        chain: tuple[tuple[int, Rules], ...] = ()
        for one in reversed(list(outwards(folder, self._chains))):
            if one in self._chains:
                chain = self._chains[one]
                continue
            prefix = one + b"/" if one else b""
            if rules := self._rules(prefix + self._name):
                chain = (*chain, (len(prefix), rules))
            self._chains[one] = chain
        return chain

    def _rules(self, path: bytes) -> Rules | None:
        content = self._read(path)
        return None if content is None or len(content) > _MAX_SIZE else self._parse(lines_of(content))
