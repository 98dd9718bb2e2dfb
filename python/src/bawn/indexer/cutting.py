"""Cutting of files into chunks, and reading of documents and archives, in a process of its own that may die."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from bawn.indexer.chunking import Piece, chunk
from bawn.indexer.cutting_worker import Document, Package, Request, write_frame
from bawn.indexer.documents.extraction import Extraction
from bawn.indexer.grammars import has_grammar
from bawn.indexer.libraries.documentation import Unpacked
from bawn.indexer.libraries.library import Library

Answer = TypeVar("Answer")

_ANSWER_S: Final = 30.0
_DOCUMENT_S: Final = 30.0
_ARCHIVE_S: Final = 120.0
_READ: Final = 1 << 20
_OF_ITS_FILE: Final = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGVTALRM})
"""How the worker ends of what it reads, and would end again: without memory, by a grammar's fault, out of time."""


class _Late(Exception):
    """The worker took too long."""


class _Died(Exception):
    """The worker died of what it was to read."""


class Cutter:
    """Cuts files; the worker process is started when the first file needs it, and again when it has died."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[bytes] | None = None
        self._pieces = msgspec.msgpack.Decoder(list[Piece])
        self._extraction = msgspec.msgpack.Decoder(Extraction | None)
        self._unpacked = msgspec.msgpack.Decoder(Unpacked)
        self._encoder = msgspec.msgpack.Encoder()

    def cut(self, text: str, language: str) -> list[Piece]:
        """The chunks of a file, along its syntax where its language has a grammar that can take it."""
        if not has_grammar(language):
            return chunk(text, language)
        try:
            return self._asked(self._pieces, Request(language, text), _ANSWER_S)
        except (_Died, _Late):
            return chunk(text, language, parsed=False)

    def extract(self, content: bytes, language: str) -> Extraction | None:
        """The text of a document, or why it stays out; None for a page that is source after all."""
        try:
            return self._asked(self._extraction, Document(language, len(content)), _DOCUMENT_S, content)
        except _Late:
            return Extraction(skipped="too_large")
        except _Died:
            return Extraction(skipped="failed")

    def unpack(self, archive: Path, library: Library) -> Unpacked:
        """The documentation in the archive of a library, or what is wrong with it."""
        try:
            return self._asked(self._unpacked, Package(str(archive), library), _ARCHIVE_S)
        except _Late:
            return Unpacked(wrong="its archive takes too long to read")
        except _Died:
            return Unpacked(wrong="its archive can't be read")

    def _asked(
        self,
        decoder: msgspec.msgpack.Decoder[Answer],
        request: Request | Document | Package,
        answer_s: float,
        content: bytes = b"",
    ) -> Answer:
        """What the worker answers.

        Raises:
            _Late: nothing, within `answer_s`.
            _Died: it did, of this request.
        """
        for _ in range(2):
            try:
                return decoder.decode(self._ask(request, answer_s, content))
            except _Late:
                self._end()
                raise
            except (OSError, EOFError, msgspec.DecodeError):
                # Once more: it may have died of something else.
                if self._end() in _OF_ITS_FILE:
                    break
        raise _Died

    def _ask(self, request: Request | Document | Package, answer_s: float, content: bytes) -> bytes:
        worker = self._worker
        if worker is None:
            worker = self._worker = subprocess.Popen(
                # -P: a file of the current folder must not stand in for a module.
                [sys.executable, "-P", "-m", "bawn.indexer.cutting_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        if worker.stdin is None or worker.stdout is None:
            raise EOFError
        write_frame(worker.stdin, self._encoder.encode(request))
        if content:
            worker.stdin.write(content)
            worker.stdin.flush()
        deadline = time.monotonic() + answer_s
        descriptor = worker.stdout.fileno()
        size = int.from_bytes(_read(descriptor, 4, deadline), "big")
        return _read(descriptor, size, deadline)

    def _end(self) -> int:
        """How it ended: below zero the signal that ended it; 0: none was there."""
        worker, self._worker = self._worker, None
        if worker is None:
            return 0
        worker.kill()
        worker.communicate()
        return worker.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._end()


def _read(descriptor: int, size: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise _Late
        data = os.read(descriptor, min(_READ, size - len(received)))
        if not data:
            raise EOFError
        received += data
    return bytes(received)
