"""Reading of files out of the index, which has every line of what it indexed and nothing else.

The work tree is never opened: a path can't escape, a line number means the same as in a search result, and what
the indexer left out can't be read.
"""

from typing import Final

from bawn.contracts.errors import InvalidRequest, NotFound
from bawn.contracts.search import FileSlice
from bawn.search.backend import SearchBackend
from bawn.search.repositories import unknown_repository

MAX_LINES: Final = 1000
MAX_BYTES: Final = 65_536


def check_path(path: str) -> str:
    """`path` in its plain form.

    Raises:
        InvalidRequest: it is empty, absolute, or has `..` or a backslash that stands for a slash.
    """
    pieces = [piece for piece in path.split("/") if piece not in ("", ".")]
    if path.startswith(("/", "~")) or ".." in pieces or "\0" in path:
        raise InvalidRequest(
            "The path must be relative to the repository's root and must not contain `..`.", param="path"
        )
    if not pieces:
        raise InvalidRequest("The path is empty.", param="path")
    return "/".join(pieces)


def read_slice(backend: SearchBackend, repo: str, path: str, start_line: int, end_line: int | None) -> FileSlice:
    """Lines `start_line` to `end_line` (from 1, both included) of an indexed file.

    At most `MAX_LINES` lines and about `MAX_BYTES` bytes: the answer's `end_line` says where it stopped.

    Raises:
        InvalidRequest: the path or the range can't be.
        NotFound: the repository or the file is not in the index.
    """
    path = check_path(path)
    documents = backend.file(repo, path)
    if not documents:
        known = backend.repos()
        if repo not in known:
            raise unknown_repository(known, repo)
        raise NotFound(f"`{path}` is not in the index of `{repo}`.", param="path")
    total = documents[-1].end_line
    last = total if end_line is None else min(end_line, total)
    if start_line < 1 or (end_line is not None and end_line < start_line):
        raise InvalidRequest("`start_line` must be 1 or more, and `end_line` not before it.", param="start_line")
    if start_line > total:
        raise InvalidRequest(f"The file has {total} lines; `start_line` is {start_line}.", param="start_line")
    lines: list[str] = []
    size = 0
    for document in documents:
        if document.end_line < start_line or document.start_line > last:
            continue
        own = document.text.split("\n")
        first = max(0, start_line - document.start_line)
        for line in own[first : last - document.start_line + 1]:
            size += len(line.encode()) + 1
            if len(lines) >= MAX_LINES or (lines and size > MAX_BYTES):
                break
            lines.append(line)
    return FileSlice(
        repo=repo,
        path=path,
        start_line=start_line,
        end_line=start_line + len(lines) - 1,
        total_lines=total,
        text="\n".join(lines),
    )
