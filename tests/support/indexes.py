"""Small repositories and indexes on disk, made with the real indexer."""

import subprocess
from pathlib import Path

from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry
from bawn.indexer.run import Outcome, run_index
from bawn.search.tools import IndexSearch


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` with an identity of its own; what it printed."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write `files` below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def repository(folder: Path, files: dict[str, str | bytes]) -> Path:
    """A git repository with one commit of `files`."""
    write(folder, files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def register(index_dir: Path, path: Path, name: str | None = None, branch: str | None = None) -> None:
    """Register a repository under the index's lock."""
    with writer_lock(index_dir):
        Registry(index_dir).add(path, name, [] if branch is None else [branch])


def index(index_dir: Path, *paths: Path) -> list[Outcome]:
    """Register `paths` and run the indexer over all that is registered."""
    for path in paths:
        register(index_dir, path)
    return run_index(index_dir)


def found(index_dir: Path, query: str, **scope: str) -> list[str]:
    """Paths of what a query finds, best first, without repeats."""
    chunks = IndexSearch(index_dir).search(query, limit=20, **scope).chunks  # pyright: ignore[reportArgumentType]
    return list(dict.fromkeys(chunk.path for chunk in chunks))
