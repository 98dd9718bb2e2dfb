"""An index of Meilisearch opened for writing.

What is published waits in a file until `commit` sends it in small batches, waits for them, and then takes out what they
replace. A file is never in two batches, and a batch is one transaction of Meilisearch: so a reader sees the old version
of a file, or both, of which it takes the newer one, or the new version; never a part. Several files of one commit come
one batch after the other. Whenever writer or server dies, the next run finds in the index itself what it has, takes out
old versions that were left, and goes on.
"""

import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.search.backend import Scope
from bawn.search.documents import FORMAT, IndexDocument
from bawn.search.meilisearch.reading import MeilisearchIndex
from bawn.search.meilisearch.scoping import one_of, scope_filter
from bawn.search.meilisearch.server import Hit, Server, Task
from bawn.search.meilisearch.stored import ABOUT, About, about_document, file_documents, file_key, settings

MOST_DOCUMENTS: Final = 24_000
MOST_BYTES: Final = 80 * 1024 * 1024
"""Of one batch. For each batch Meilisearch writes its list of words anew and touches most of its pages, the more the
larger the index; and it refuses what is over its limit, 96 MiB on the appliance."""
_PIECE: Final = 256 * 1024
_AT_ONCE: Final = 2
"""Batches in the queue, so that one is read while another is indexed."""
_FILES_AT_ONCE: Final = 2_000
_SWAP_WITHIN_S: Final = 120.0

_encoder: Final = msgspec.json.Encoder()


def standby(name: str) -> str:
    """The index beside `name`: a rebuilt one until it takes its place, and then the one before it."""
    return f"{name}-standby"


class _Pending(msgspec.Struct, frozen=True):
    """One file that waits for `commit`."""

    start: int
    size: int
    documents: int


class MeilisearchPublisher:
    """An index of a server opened for writing; the caller holds the lock that keeps other writers out."""

    def __init__(self, server: Server, name: str, scratch: Path, *, rebuild: bool = False) -> None:
        """Open the index `name`, or make it; with `rebuild` make the one that `take_place` puts in its place.

        What waits for `commit` is in a file without a name in the folder `scratch`.

        Raises:
            SettingsError: the index is of another format; the message says how to mend it.
            RequestError: the server can't be reached, refuses the key, or fails.
        """
        self._server = server
        self._name = name
        self._target = standby(name) if rebuild else name
        self._rebuild = rebuild
        self._reader = MeilisearchIndex(server, self._target)
        self._pending: list[_Pending] = []
        self._touched: dict[str, int] = {}
        """Files that the index had, by their key; what their chunks are marked with now, 0 for a file that goes."""
        self._published = 0
        server.settle([name, standby(name)])
        if rebuild:
            self._do("DELETE", f"/indexes/{self._target}", allowed=("index_not_found",))
        self._prepare()
        self._spool = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed in __exit__

    def _prepare(self) -> None:
        path = f"/indexes/{self._target}"
        if self._server.get(path, dict[str, Any]) is None:
            self._do("POST", "/indexes", {"uid": self._target, "primaryKey": "id"}, allowed=("index_already_exists",))
        wanted = settings()
        found = self._server.get(f"{path}/settings", dict[str, Any]) or {}
        about = about_of(self._server, self._target)
        if about is not None and about.format != FORMAT:
            raise SettingsError(
                f"The index `{self._target}` of Meilisearch is of format {about.format}; this version writes format "
                f"{FORMAT}. Build it anew with `bawn index run --rebuild`."
            )
        if not _has(found, wanted):
            self._do("PATCH", f"{path}/settings", wanted)
        if about is None:
            self._say(complete=not self._rebuild)

    def _say(self, *, complete: bool) -> None:
        about = About(FORMAT, complete, secrets.token_hex(8))
        self._server.wait(self._server.add(self._target, _encoder.encode(about_document(about))))

    def _do(self, method: str, path: str, body: object = None, *, allowed: tuple[str, ...] = ()) -> None:
        self._server.wait(self._server.enqueue(method, path, body), allowed=allowed)

    def files(self, repo: str) -> dict[str, str]:
        """See `IndexPublisher.files`. Versions that a run which died has left beside newer ones are taken out."""
        newest: dict[str, Hit] = {}
        old: list[Hit] = []
        for hit in sorted(self._reader.listed(scope_filter(Scope(repo=repo))), key=lambda hit: hit.published):
            if hit.path in newest:
                old.append(newest[hit.path])
            newest[hit.path] = hit
        if old:
            self._take_out({hit.file: newest[hit.path].published for hit in old})
        return {path: hit.blob for path, hit in newest.items()}

    def repos(self) -> list[str]:
        """See `IndexPublisher.repos`."""
        return self._reader.repos()

    def replace(self, repo: str, path: str, old_blob: str | None, documents: Iterable[IndexDocument]) -> None:
        """See `IndexPublisher.replace`."""
        self._published = max(self._published + 1, time.time_ns() // 1000)
        made = file_documents(repo, path, documents, self._published)
        lines = _encoder.encode_lines(made)
        if old_blob is not None:
            self._touched[file_key(repo, path)] = self._published if made else 0
        self._pending.append(_Pending(self._spool.tell(), len(lines), len(made)))
        self._spool.write(lines)

    def remove(self, repo: str, path: str, old_blob: str) -> None:
        """See `IndexPublisher.remove`."""
        self._touched[file_key(repo, path)] = 0

    def commit(self) -> None:
        """See `IndexPublisher.commit`: file by file, each of them whole.

        Raises:
            TaskFailed: Meilisearch could not do it; the next run does.
            RequestError: the server can't be reached or does not finish.
        """
        waiting: list[Task] = []
        for batch in self._batches():
            if len(waiting) == _AT_ONCE:
                self._server.wait(waiting.pop(0))
            waiting.append(self._server.add(self._target, batch))
        for task in waiting:
            self._server.wait(task)
        self._take_out(self._touched)
        self._touched = {}
        self._pending = []
        self._spool.seek(0)
        self._spool.truncate()

    def _batches(self) -> Iterator[Iterator[bytes]]:
        for batch in batches(self._pending):
            yield self._pieces(batch[0].start, sum(one.size for one in batch))
        self._spool.seek(0, 2)

    def _pieces(self, start: int, size: int) -> Iterator[bytes]:
        """A batch, never all of it in memory."""
        self._spool.seek(start)
        while piece := self._spool.read(min(size, _PIECE)):
            size -= len(piece)
            yield piece

    def _take_out(self, files: dict[str, int]) -> None:
        """Take out all chunks of `files` but those that have the mark beside their key."""
        keys = sorted(files)
        for at in range(0, len(keys), _FILES_AT_ONCE):
            some = keys[at : at + _FILES_AT_ONCE]
            marks = [str(files[key]) for key in some if files[key]]
            kept = [f"NOT published IN [{','.join(marks)}]"] if marks else []
            body = {"filter": [one_of("file", some), *kept]}
            self._do("POST", f"/indexes/{self._target}/documents/delete", body)

    def take_place(self) -> None:
        """Put the rebuilt index in the place of the one that is searched, which stays beside it for `roll_back`.

        Raises:
            RequestError: as in `commit`.
        """
        self._say(complete=True)
        _swap(self._server, self._target, self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._spool.close()


def _has(found: Any, wanted: Any) -> bool:
    """Whether settings are as wanted, whatever else there is."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and _has(found[key], value) for key, value in wanted.items())
    return found == wanted


def batches(pending: Iterable[_Pending]) -> Iterator[list[_Pending]]:
    """`pending` in batches within `MOST_DOCUMENTS` and `MOST_BYTES`; a file that is more is a batch of its own."""
    batch: list[_Pending] = []
    documents = size = 0
    for one in pending:
        if batch and (documents + one.documents > MOST_DOCUMENTS or size + one.size > MOST_BYTES):
            yield batch
            batch, documents, size = [], 0, 0
        batch.append(one)
        documents, size = documents + one.documents, size + one.size
    if batch:
        yield batch


def about_of(server: Server, name: str) -> About | None:
    """What the index `name` says of itself; None where it isn't there, or not made to its end.

    Raises:
        RequestError: the server can't be reached, refuses the key, or fails.
    """
    return server.get(f"/indexes/{name}/documents/{ABOUT}", About)


def roll_back(server: Server, name: str) -> None:
    """Put the index that was searched before the last rebuild back in its place; the newer one stays beside it.

    Raises:
        SettingsError: there is none, or it is of another format.
        RequestError: the server can't be reached, refuses the key, or fails.
    """
    server.settle([name, standby(name)])
    about = about_of(server, standby(name))
    if about is None or not about.complete:
        raise SettingsError(f"There is no index before `{name}` to go back to: only a rebuild leaves one.")
    if about.format != FORMAT:
        raise SettingsError(
            f"The index before `{name}` is of format {about.format}; this version reads format {FORMAT}."
        )
    _swap(server, standby(name), name)


def _swap(server: Server, index: str, place: str) -> None:
    """Put `index` into `place`, and what is there into its own."""
    about = about_of(server, index)
    exists = server.get(f"/indexes/{place}", dict[str, Any]) is not None
    # Without an index in that place there is nothing to swap with.
    indexes = [place, index] if exists else [index, place]
    server.enqueue("POST", "/swap-indexes", [{"indexes": indexes, "rename": not exists}])
    # The task is of no index, so that a key of some indexes can't ask for it.
    server.until(lambda: about_of(server, place) == about, _SWAP_WITHIN_S)
