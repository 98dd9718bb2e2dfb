"""A small embedded index of given files, one chunk a file."""

import hashlib
from pathlib import Path

from bawn.contracts.search import Index
from bawn.search.documents import IndexDocument, field_words
from bawn.search.embedded import EmbeddedPublisher


def make_index(index_dir: Path, repo: str, files: dict[str, tuple[list[str], str]], index: Index = "code") -> None:
    """Index `files`: path → (names that the file defines, its text)."""
    with EmbeddedPublisher(index_dir / index) as publisher:
        for path, (symbols, text) in files.items():
            document = IndexDocument(
                repo=repo,
                branch="main",
                path=path,
                blob=hashlib.sha1(text.encode()).hexdigest(),
                commit="c0ffee",
                kind="source",
                language="python",
                start_line=1,
                end_line=text.count("\n"),
                context="",
                symbols=symbols,
                text=text,
                words=field_words(path, "", symbols, text),
            )
            publisher.replace(repo, path, None, [document])
        publisher.commit()
