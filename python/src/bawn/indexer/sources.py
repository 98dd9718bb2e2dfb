"""Where the files of a repository come from: a work tree or folder as it lies there, or the commit of a branch."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer import git
from bawn.indexer.beneath import Beneath, NotAFile
from bawn.indexer.bundles.manifest import Manifest, Note, WrongBundle, read_manifest
from bawn.indexer.contents import MAX_BYTES, SkipReason, max_bytes, skip_by_name
from bawn.indexer.fingerprints import Fingerprints, blob_hash
from bawn.indexer.folder_rules import ReadFile
from bawn.indexer.ignoring import Ignoring
from bawn.indexer.linguist import Declarations, Declared
from bawn.indexer.registry import Repository
from bawn.indexer.walk import every_file, folder_files

_NOTHING: Final = Note()


class SourceFile(msgspec.Struct, frozen=True):
    """A file as a source lists it."""

    path: str
    """With `/`; bytes that are no UTF-8 are written as `\\xNN`."""
    blob: str
    """Empty where `skipped` says why nothing was read."""
    skipped: SkipReason | None
    content: bytes | None
    """None where the source knows the blob without reading it."""
    declared: Declared = {}
    """What the repository says of the file's kind."""
    extracted: str | None = None
    """Of a document whose content is its text already, the language that this is cut as."""

    @property
    def version(self) -> str:
        """What its documents in the index are told apart by: the blob, and what is declared of it, if anything."""
        return self.blob + "".join(f"{'+' if said else '-'}{kind}" for kind, said in sorted(self.declared.items()))


class Source(Protocol):
    """The files of one repository at one moment."""

    branch: str
    commit: str

    def files(self) -> Iterator[SourceFile]:
        """Every file, those that are left out too."""
        ...

    def read(self, file: SourceFile) -> bytes:
        """Content of a listed file; raises OSError where it is gone meanwhile."""
        ...

    def learn(self, file: SourceFile, skipped: SkipReason | None) -> None:
        """Remember that the content of `file` was looked at, and whether it was left out."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None: ...


def shown(path: bytes) -> str:
    """A path as it is written in the index."""
    return path.decode("utf-8", "backslashreplace")


def tracked_files(root: Path) -> list[bytes] | None:
    """Paths of a git work tree that git doesn't ignore; None for a plain folder.

    Raises:
        SettingsError: git failed.
    """
    top = git.top_level(root)
    listed = git.work_tree_files(root) if top else []
    # A folder that an outer repository ignores is a plain folder.
    return listed if listed or (top is not None and top.resolve() == root) else None


class WorkTree:
    """A git work tree with its uncommitted changes, or a plain folder."""

    def __init__(
        self, root: Path, fingerprints: Fingerprints, *, is_library: bool = False, bundle: Manifest | None = None
    ) -> None:
        """`is_library`: all of it is documentation. `bundle`: of the bundle that was unpacked there, all is indexed.

        Of both no git repository is asked, whatever lies in or around the folder.
        """
        self._ignoring = Ignoring(self._rules)
        self._declarations = Declarations(self._rules)
        self._is_library = is_library
        self._notes = None if bundle is None else bundle.notes
        listed = None if is_library or bundle is not None else tracked_files(root)
        if bundle is not None:
            self._paths = every_file(root)
            self.branch, self.commit = bundle.branch, bundle.commit
        else:
            self._paths = folder_files(root, self._ignoring) if listed is None else iter(listed)
            self.branch, self.commit = ("", "") if listed is None else git.head(root)
        self._root = root
        self._fingerprints = fingerprints
        self._seen: dict[str, tuple[bytes, os.stat_result]] = {}
        self._odd: dict[str, bytes] = {}  # paths that are no UTF-8, by what is shown of them
        self._stack = ExitStack()
        self._beneath = self._stack.enter_context(Beneath(root))

    def _declared(self, path: bytes) -> Declared:
        if self._is_library:
            return {"docs": True}
        return self._declarations.of(path) if self._notes is None else self._note(path).declared

    def _note(self, path: bytes) -> Note:
        return (self._notes or {}).get(shown(path), _NOTHING)

    def _rules(self, path: bytes) -> bytes | None:
        try:
            return self._beneath.read(path, MAX_BYTES + 1)
        except OSError:
            return None

    def files(self) -> Iterator[SourceFile]:
        """See `Source.files`. A file whose folder entry is unchanged is not read."""
        ignored: set[bytes] = set()
        for path in self._paths:
            if left_out := self._ignoring.left_out(path):
                if left_out not in ignored:
                    ignored.add(left_out)
                    yield SourceFile(shown(left_out), "", "ignored", None)
                continue
            name = shown(path)
            if name.encode() != path:
                self._odd[name] = path
            if reason := skip_by_name(name):
                yield SourceFile(name, "", reason, None)
                continue
            try:
                status = self._beneath.stat(path)
                known = self._fingerprints.lookup(path, status)
                if known is not None:
                    skipped: SkipReason | None = known.skipped or None  # pyright: ignore[reportAssignmentType]
                    yield SourceFile(name, known.blob, skipped, None, self._declared(path), self._note(path).extracted)
                elif status.st_size > max_bytes(name):
                    yield SourceFile(name, "", "too_large", None)
                else:
                    content = self._beneath.read(path, max_bytes(name) + 1)
                    self._seen[name] = (path, status)
                    yield SourceFile(
                        name, blob_hash(content), None, content, self._declared(path), self._note(path).extracted
                    )
            except NotAFile:
                yield SourceFile(name, "", "not_a_file", None)
            except FileNotFoundError:
                yield SourceFile(name, "", "vanished", None)
            except OSError:
                yield SourceFile(name, "", "unreadable", None)

    def read(self, file: SourceFile) -> bytes:
        """See `Source.read`."""
        if file.content is not None:
            return file.content
        # Known by its fingerprint and yet not in the index: the index is younger than the fingerprints.
        content = self._beneath.read(self._odd.get(file.path, file.path.encode()), max_bytes(file.path) + 1)
        if blob_hash(content) != file.blob:
            raise FileNotFoundError("changed meanwhile")
        return content

    def learn(self, file: SourceFile, skipped: SkipReason | None) -> None:
        """See `Source.learn`."""
        if file.path in self._seen:
            path, status = self._seen.pop(file.path)
            self._fingerprints.remember(path, status, file.blob, skipped or "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is None:
            self._fingerprints.save()


class Commit:
    """The commit of a branch, read from git's objects: the work tree and its changes don't count."""

    def __init__(self, root: Path, branch: str) -> None:
        self.branch = branch
        self.commit = git.branch_commit(root, branch)
        self._root = root
        self._blobs = git.Blobs(root)

    def files(self) -> Iterator[SourceFile]:
        """See `Source.files`."""
        listed = list(git.tree_files(self._root, self.commit))
        blobs = {file.path: file.blob for file in listed if file.size is not None and file.size <= MAX_BYTES}
        ignoring, declarations = Ignoring(self._rules(blobs)), Declarations(self._rules(blobs))
        ignored: set[bytes] = set()
        for file in listed:
            if left_out := ignoring.left_out(file.path):
                if left_out not in ignored:
                    ignored.add(left_out)
                    yield SourceFile(shown(left_out), "", "ignored", None)
                continue
            path = shown(file.path)
            reason = skip_by_name(path) or ("too_large" if file.size is None or file.size > max_bytes(path) else None)
            yield SourceFile(path, "" if reason else file.blob, reason, None, declarations.of(file.path))

    def _rules(self, blobs: Mapping[bytes, str]) -> ReadFile:
        def read(path: bytes) -> bytes | None:
            try:
                return self._blobs.read(blobs[path]) if path in blobs else None
            except OSError:
                return None

        return read

    def read(self, file: SourceFile) -> bytes:
        """See `Source.read`."""
        return self._blobs.read(file.blob)

    def learn(self, file: SourceFile, skipped: SkipReason | None) -> None:
        """Nothing to remember: git knows the blob of every path."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._blobs.close()


def open_source(repository: Repository, fingerprints: Fingerprints) -> Source:
    """The source of a registered repository.

    Raises:
        SettingsError: its folder or branch is gone, git can't read it, or the manifest of an upload is damaged.
    """
    if not repository.path.is_dir():
        raise SettingsError(f"{repository.path}: the folder of `{repository.name}` is gone. Its index stays as it is.")
    if repository.branch is not None:
        return Commit(repository.path, repository.branch)
    bundle = _bundle(repository) if repository.is_upload else None
    return WorkTree(repository.path, fingerprints, is_library=repository.is_library, bundle=bundle)


def _bundle(repository: Repository) -> Manifest:
    try:
        return read_manifest(repository.path.parent)
    except (WrongBundle, OSError) as error:
        raise SettingsError(
            f"{repository.path.parent}: the upload of `{repository.name}` is damaged: upload its bundle again."
            " Its index stays as it is."
        ) from error
