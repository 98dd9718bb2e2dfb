"""Questions to the git command, asked so that nothing in a repository can run code.

A fixed argv; no hooks, no file system monitor, no filters (file contents are read by us, or raw as blobs), none of the
caller's `GIT_*` variables, and no network but for what `ask` is given access to.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError

_OPTIONS: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "protocol.allow=never",
    "maintenance.auto=false",
    "gc.autoDetach=false",
    # Safe here, for what git would protect from (hooks, monitors, filters) never runs.
    "safe.directory=*",
)
_QUICK: Final = 60  # seconds, for what only looks at references
_LISTING: Final = 600  # seconds, for a listing of a large work tree


class TreeFile(msgspec.Struct, frozen=True):
    """A file of a commit."""

    path: bytes
    blob: str
    size: int | None
    """Bytes; None: it is not here."""


class Access(msgspec.Struct, frozen=True):
    """What git may use beyond reading what is here."""

    options: tuple[str, ...] = ()
    """`name=value` of its configuration; other users of the machine can see them."""
    environment: dict[str, str] = {}
    """Variables, which they can't."""
    of: str = ""
    """What errors are told of; empty: the folder."""


_NONE: Final = Access()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}


def _argv(root: Path, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    options = [piece for option in (*_OPTIONS, *options) for piece in ("-c", option)]
    return ["git", "--no-pager", *options, "-C", str(root), *arguments]


def _run(
    root: Path, *arguments: str, timeout: float = _QUICK, access: Access = _NONE, told: bytes | None = None
) -> bytes:
    of = access.of or root
    try:
        done = subprocess.run(
            _argv(root, *arguments, options=access.options),
            env=_environment() | access.environment,
            stdin=subprocess.DEVNULL if told is None else None,
            input=told,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise SettingsError("The command `git` is not on PATH: install git.") from error
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"{of}: git took longer than {timeout:.0f} s.") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[:1]
        raise SettingsError(f"{of}: git {arguments[0]} failed: {' '.join(reason) or 'no reason given'}")
    return done.stdout


def ask(folder: Path, access: Access, *arguments: str, timeout: float = _QUICK) -> bytes:
    """Run a command of git's with the network that `access` opens; what it printed.

    Raises:
        SettingsError: git failed, or took longer than `timeout` seconds.
    """
    return _run(folder, *arguments, timeout=timeout, access=access)


def make_bare(folder: Path) -> None:
    """An empty bare repository.

    Raises:
        SettingsError: git failed.
        OSError: the folder can't be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run(folder, "init", "--quiet", "--bare", "--template=", "--initial-branch=main")


def branches(folder: Path) -> list[str]:
    """Local branches of a repository, sorted.

    Raises:
        SettingsError: git failed.
    """
    told = _run(folder, "for-each-ref", "--format=%(refname)", "refs/heads/").decode(errors="replace")
    return sorted(ref.removeprefix("refs/heads/") for ref in told.split("\n") if ref)


def settle(folder: Path, kept: Sequence[str]) -> None:
    """After a fetch from `origin` that left objects out: have these branches alone, and be read without it.

    What no branch needs any more is deleted when it has grown.

    Raises:
        SettingsError: git failed.
    """
    if gone := [branch for branch in branches(folder) if branch not in kept]:
        told = "".join(f"delete refs/heads/{branch}\0\0" for branch in gone)
        _run(folder, "update-ref", "--stdin", "-z", told=told.encode())
    _run(folder, "gc", "--quiet", "--auto", "--prune=now", timeout=_LISTING)
    # git has noted that `origin` gives what is missing; as long as it knows, it fails where it can't ask for that.
    with contextlib.suppress(SettingsError):  # a server that leaves nothing out is not noted
        _run(folder, "config", "--remove-section", "remote.origin")


def is_repository(path: Path) -> bool:
    """Whether `path` is in a git work tree or is a bare repository."""
    try:
        _run(path, "rev-parse", "--git-dir")
    except SettingsError:
        return False
    return True


def top_level(path: Path) -> Path | None:
    """Root of the work tree that `path` is in; None for a bare repository."""
    try:
        return Path(os.fsdecode(_run(path, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    except SettingsError:
        return None


def head(path: Path) -> tuple[str, str]:
    """Branch and commit that are checked out; both empty before the first commit, the branch when detached."""
    try:
        commit = _run(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip()
    except SettingsError:
        commit = ""
    try:
        branch = _run(path, "symbolic-ref", "--quiet", "--short", "HEAD").decode(errors="replace").strip()
    except SettingsError:
        branch = ""
    return branch, commit


def branch_commit(path: Path, branch: str) -> str:
    """Commit of a local branch, or of `origin`'s where there is no local one.

    Raises:
        SettingsError: there is no such branch.
    """
    for reference in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        try:
            return (
                _run(path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
                .decode()
                .strip()
            )
        except SettingsError:
            continue
    raise SettingsError(f"{path}: has no branch `{branch}`.")


def work_tree_files(root: Path) -> list[bytes]:
    """Paths of tracked files, and of untracked ones that are not ignored, relative to `root`, sorted."""
    listing = _run(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", timeout=_LISTING)
    return sorted({path for path in listing.split(b"\0") if path and not path.endswith(b"/")})


def tree_files(path: Path, commit: str) -> Iterator[TreeFile]:
    """Regular files of a commit; links and submodules are left out."""
    listing = _run(path, "ls-tree", "-r", "-z", "--full-tree", commit, "--", timeout=_LISTING)
    files: list[tuple[bytes, bytes]] = []
    for entry in filter(None, listing.split(b"\0")):
        meta, _, name = entry.partition(b"\t")
        mode, kind, blob = meta.split()
        if kind == b"blob" and mode in (b"100644", b"100755"):
            files.append((name, blob))
    for (name, blob), size in zip(files, _sizes(path, [blob for _, blob in files]), strict=True):
        yield TreeFile(name, blob.decode(), size)


def _sizes(path: Path, blobs: Sequence[bytes]) -> list[int | None]:
    """Of each blob; None: a partial copy left it out, since it is large."""
    if not blobs:
        return []
    asked = ("cat-file", "--batch-check=%(objectsize)", "--buffer")
    told = _run(path, *asked, timeout=_LISTING, told=b"".join(blob + b"\n" for blob in blobs))
    return [int(line) if line.isdigit() else None for line in told.splitlines()]


class Blobs:
    """Contents of blobs as they are stored, through one `git cat-file`."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            _argv(path, "cat-file", "--batch"),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def read(self, blob: str) -> bytes:
        """The whole content of a blob.

        Raises:
            OSError: the repository lacks it, as a partial clone does.
        """
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise FileNotFoundError("git has ended")
        sink.write(blob.encode() + b"\n")
        sink.flush()
        header = source.readline().split()
        if len(header) != 3:
            raise FileNotFoundError("no such blob")
        content = source.read(int(header[2]))
        source.read(1)
        return content

    def close(self) -> None:
        """End the git process."""
        self._process.communicate()
