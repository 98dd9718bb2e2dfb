"""Path filters of a query: a folder, a file or a glob, as a regular expression over whole paths."""

import re
from typing import Final

from bawn.contracts.errors import InvalidRequest

MAX_GLOB: Final = 256

_PIECE: Final = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_TRANSLATION: Final = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
# The characters that have a meaning in the regular expressions of Rust, which Python's `re.escape` goes beyond.
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


def path_pattern(path: str) -> str:
    """A regular expression (of Python and of Rust alike) that matches the whole paths that `path` names.

    `src/bawn` is the file or everything below it, `*.py` without a slash is a name in any folder,
    `src/**/test_*.py` is from the root.

    Raises:
        InvalidRequest: the filter is absolute, leaves the repository or is too long.
    """
    cleaned = path.removeprefix("./")
    if len(cleaned) > MAX_GLOB:
        raise InvalidRequest(f"The path filter is longer than {MAX_GLOB} characters.", param="path")
    if cleaned.startswith("/") or ".." in cleaned.split("/") or "\0" in cleaned:
        raise InvalidRequest("The path filter must be relative to the repository's root, without `..`.", param="path")
    is_glob = "*" in cleaned or "?" in cleaned
    if is_glob and "/" not in cleaned:
        cleaned = "**/" + cleaned
    pieces = [_TRANSLATION.get(piece) or _SPECIAL.sub(r"\\\g<0>", piece) for piece in _PIECE.findall(cleaned)]
    pattern = "".join(pieces)
    return pattern if is_glob else pattern.removesuffix("/") + "(/.*)?"
