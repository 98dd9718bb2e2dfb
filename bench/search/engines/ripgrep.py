"""ripgrep over the words of a question, ranked as somebody reads its output: who has most of the words comes first.

Of each file comes the window that has most of them; of two files the one with more matching lines.
"""

import subprocess
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.peers.environment import peers_python
from bench.search.engines.engine import WINDOW, Copy, Engine, NotMeasured, Search
from bench.search.places import Place
from bench.search.words import asked

NAME: Final = "ripgrep"
_WITHIN_S: Final = 120


def program() -> Path:
    """The pinned ripgrep.

    Raises:
        NotMeasured: it can't be installed.
    """
    python = peers_python("search")
    if isinstance(python, str):
        raise NotMeasured(python)
    return python.with_name("rg")


def command(question: str) -> list[str]:
    """ripgrep for any word of the question below the current folder, in any case, within names too."""
    patterns = [part for word in asked(question) for part in ("-e", word)]
    return [
        str(program()), "--only-matching", "--line-number", "--with-filename", "--no-heading", "--ignore-case",
        "--fixed-strings", "--no-ignore", "--no-config", *patterns, ".",
    ]  # fmt: skip


def ranked(output: str) -> list[Place]:
    """Files by what matched in them: `./path:line:match` on each line of the output."""
    matches: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in output.splitlines():
        path, _, rest = line.removeprefix("./").partition(":")
        number, _, match = rest.partition(":")
        matches[path].append((int(number), match.lower()))

    def worth(path: str) -> tuple[int, int]:
        return len({match for _, match in matches[path]}), len({number for number, _ in matches[path]})

    best = sorted(matches, key=lambda path: (*(-one for one in worth(path)), path))
    return [_window(path, matches[path]) for path in best]


def _window(path: str, matches: list[tuple[int, str]]) -> Place:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for number, match in matches:
        found[(number - 1) // WINDOW].add(match)
    best = max(found, key=lambda at: (len(found[at]), -at))
    return Place(path, best * WINDOW + 1, (best + 1) * WINDOW)


@contextmanager
def _opened(copy: Copy) -> Generator[Search]:
    program()

    def search(text: str, limit: int) -> list[Place]:
        if not asked(text):
            return []
        done = subprocess.run(
            command(text), cwd=copy.folder, capture_output=True, text=True, check=False, timeout=_WITHIN_S
        )
        return ranked(done.stdout)[:limit]

    yield search


ENGINE: Final = Engine(NAME, _opened)
