"""How vectors lie on disk: one SQLite file an index, beside it, whatever its backend.

A vector is kept under a hash of the text that it was made from, so that a chunk which several branches have is embedded
once. Its numbers are kept as bytes, the greatest of them as 127: a thirtieth of what is lost by that decides nothing,
and a million chunks take 0.4 GB instead of 1.6.
"""

import hashlib
import math
import sqlite3
from array import array
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from operator import mul
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import Index
from bawn.search.documents import IndexDocument
from bawn.search.vectors.client import Vector

MOST_CHARACTERS: Final = 1_200
"""Of a chunk's text: what most models look at, and where a function says what it is for."""

_TEXT: Final = 1
"""Version of what `text_of` makes of a chunk."""
_READ_S: Final = 0.1
"""A reader waits so long for a commit: searches can do without."""
_WRITE_S: Final = 30.0
_AT_ONCE: Final = 500
_TABLES: Final = """
create table if not exists about (text integer not null, model text not null);
create table if not exists file (
    id integer primary key, repo text not null, path text not null, blob text not null, unique (repo, path)
);
create table if not exists chunk (key blob not null, file integer not null, primary key (key, file)) without rowid;
create index if not exists chunks_of_file on chunk (file);
create table if not exists vector (key blob primary key, bytes blob not null) without rowid;
"""


class ByteVector(msgspec.Struct, frozen=True):
    """A vector as it is kept."""

    numbers: "array[int]"
    length: float
    """Euclidean."""


def text_of(document: IndexDocument) -> str:
    """What a model is given of a chunk: where it is, what it defines, and how it begins."""
    head = [document.path, " ".join(document.symbols) or document.context]
    return "\n".join([part for part in head if part] + [document.text[:MOST_CHARACTERS]])


def key_of(text: str) -> bytes:
    """Under which the vector of a text is kept."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def to_bytes(vector: Vector) -> bytes:
    """The vector, its greatest number as 127 or -127."""
    greatest = max(map(abs, vector), default=0.0)
    scale = 127.0 / greatest if greatest else 0.0
    return array("b", [round(number * scale) for number in vector]).tobytes()


def from_bytes(kept: bytes) -> ByteVector:
    """What `to_bytes` has made."""
    numbers = array("b", kept)
    return ByteVector(numbers, math.sqrt(sum(map(mul, numbers, numbers))))


def similarity(one: ByteVector, other: ByteVector) -> float:
    """Cosine of the angle between two vectors, from -1 to 1; 0 where one of them has no length."""
    lengths = one.length * other.length
    return sum(map(mul, one.numbers, other.numbers)) / lengths if lengths else 0.0


def vectors_file(index_dir: Path, index: Index) -> Path:
    """Where the vectors of an index are."""
    return index_dir / "vectors" / f"{index}.sqlite"


class VectorReader:
    """The vectors of an index that one model has made. Methods may be called from several threads."""

    def __init__(self, file: Path, model: str) -> None:
        self._file = file
        self._model = model

    def find(self, keys: Collection[bytes]) -> Mapping[bytes, ByteVector]:
        """The vectors that there are, by their keys; none where another model made them, or the file can't be read."""
        try:
            # Opened each time: that takes a fifth of a millisecond, and no lock outlives a question.
            with closing(_connected(self._file, _READ_S, "ro")) as database:
                if _made_by(database) != self._model:
                    return {}
                return {key: from_bytes(kept) for key, kept in _of_keys(database, "key, bytes", list(keys))}
        except sqlite3.Error:
            return {}

    def count(self) -> int:
        """Chunks, of files and branches together, that have a vector of this model."""
        try:
            with closing(_connected(self._file, _READ_S, "ro")) as database:
                return _chunks(database) if _made_by(database) == self._model else 0
        except sqlite3.Error:
            return 0


class VectorWriter:
    """The vectors of an index, to be brought up to date; the caller holds the lock that keeps other writers out.

    What is committed stays: a run that dies is gone on with by the next.
    """

    def __init__(self, file: Path, model: str) -> None:
        """Open the file, or make it. Vectors of another model go: they can't be compared with this one's.

        Raises:
            SettingsError: the file can't be read or written.
        """
        self._file = file
        with self._writing():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = _connected(file, _WRITE_S, "rwc")
            try:
                self._database.executescript(_TABLES)
                if _made_by(self._database) != model:
                    for table in ("about", "file", "chunk", "vector"):
                        self._database.execute(f"delete from {table}")  # noqa: S608 - names of ours
                    self._database.execute("insert into about values (?, ?)", (_TEXT, model))
                    self._database.commit()
                    self._database.execute("vacuum")
            except BaseException:
                self._database.close()
                raise

    def repos(self) -> list[str]:
        """Repositories that have vectors, sorted."""
        return [repo for (repo,) in self._database.execute("select distinct repo from file order by repo")]

    def files(self, repo: str) -> dict[str, str]:
        """Blob of each file whose chunks all have a vector, by its path."""
        return dict(self._database.execute("select path, blob from file where repo = ?", (repo,)))

    def missing(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those that have no vector."""
        return set(keys) - {key for (key,) in _of_keys(self._database, "key", keys)}

    def add(self, vectors: Iterable[tuple[bytes, Vector]]) -> None:
        """Keep vectors under the keys of their texts."""
        with self._writing():
            kept = ((key, to_bytes(vector)) for key, vector in vectors)
            self._database.executemany("insert or replace into vector values (?, ?)", kept)

    def finish(self, repo: str, path: str, blob: str, keys: Iterable[bytes]) -> None:
        """Note that all chunks of a file have a vector; `keys` are theirs."""
        with self._writing():
            self.remove(repo, path)
            made = self._database.execute("insert into file (repo, path, blob) values (?, ?, ?)", (repo, path, blob))
            rows = ((key, made.lastrowid) for key in keys)
            self._database.executemany("insert or ignore into chunk values (?, ?)", rows)

    def remove(self, repo: str, path: str) -> None:
        """Take a file out; vectors that no other file has go with `prune`."""
        with self._writing():
            for (number,) in self._database.execute("select id from file where (repo, path) = (?, ?)", (repo, path)):
                self._database.execute("delete from chunk where file = ?", (number,))
                self._database.execute("delete from file where id = ?", (number,))

    def prune(self) -> None:
        """Drop the vectors that no file has."""
        with self._writing():
            self._database.execute("delete from vector where key not in (select key from chunk)")

    def commit(self) -> None:
        """Make everything since the last commit durable and visible."""
        with self._writing():
            self._database.commit()

    def count(self) -> int:
        """Chunks that have a vector."""
        return _chunks(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """What was not committed is dropped."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise SettingsError(
                f"{self._file}: the vectors can't be kept: {error}. See that the disk is not full; if the file is"
                " damaged, delete it, and `bawn index embed` makes it anew."
            ) from error


def _connected(file: Path, timeout_s: float, mode: str) -> sqlite3.Connection:
    # Without a write-ahead log: readers on a read-only view of the folder could not open that.
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=timeout_s)


def _made_by(database: sqlite3.Connection) -> str | None:
    """The model whose vectors these are, if they are of texts as `text_of` makes them."""
    row = database.execute("select model from about where text = ?", (_TEXT,)).fetchone()
    return None if row is None else str(row[0])


def _of_keys(database: sqlite3.Connection, columns: str, keys: Sequence[bytes]) -> Iterator[tuple[Any, ...]]:
    """Columns of the vectors that have one of `keys`."""
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        places = ",".join("?" * len(some))
        yield from database.execute(f"select {columns} from vector where key in ({places})", some)  # noqa: S608 - ours


def _chunks(database: sqlite3.Connection) -> int:
    return int(database.execute("select count(*) from chunk").fetchone()[0])
