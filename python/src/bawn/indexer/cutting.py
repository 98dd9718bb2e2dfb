"""Cutting of files into chunks, with the parsing in a process of its own that may die."""

import os
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Self

import msgspec

from bawn.indexer.chunking import Piece, chunk
from bawn.indexer.cutting_worker import Request, write_frame
from bawn.indexer.grammars import has_grammar

_ANSWER_S: Final = 15.0
_READ: Final = 1 << 20


class _Late(Exception):
    """The worker took too long."""


class Cutter:
    """Cuts files; the worker process is started when the first file needs it, and again when it has died."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[bytes] | None = None
        self._decoder = msgspec.msgpack.Decoder(list[Piece])
        self._encoder = msgspec.msgpack.Encoder()

    def cut(self, text: str, language: str) -> list[Piece]:
        """The chunks of a file, along its syntax where its language has a grammar that can take it."""
        if not has_grammar(language):
            return chunk(text, language)
        # Twice: the worker may have died of something else than this file.
        for _ in range(2):
            try:
                return self._ask(Request(language, text))
            except (OSError, EOFError, msgspec.DecodeError):
                self._end()
            except _Late:
                self._end()
                break
        return chunk(text, language, parsed=False)

    def _ask(self, request: Request) -> list[Piece]:
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
        deadline = time.monotonic() + _ANSWER_S
        descriptor = worker.stdout.fileno()
        size = int.from_bytes(_read(descriptor, 4, deadline), "big")
        return self._decoder.decode(_read(descriptor, size, deadline))

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.communicate()

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
