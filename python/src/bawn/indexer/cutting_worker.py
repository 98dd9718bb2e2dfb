"""The process that parses: a grammar that crashes or eats memory on some file takes this process along, and no more.

Frames in both directions are msgpack after four bytes of length. The end of its input ends it.
"""

import resource
import sys
from typing import IO, Final

import msgspec

from bawn.indexer.chunking import Piece, chunk

MEMORY: Final = 1_000_000_000
"""Bytes of address space."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """A file to cut."""

    language: str
    text: str


def write_frame(stream: IO[bytes], payload: bytes) -> None:
    """Send one frame."""
    stream.write(len(payload).to_bytes(4, "big") + payload)
    stream.flush()


def main() -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most < 0 else min(MEMORY, most), most))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    requests, answers = msgspec.msgpack.Decoder(Request), msgspec.msgpack.Encoder()
    while header := source.read(4):
        request = requests.decode(source.read(int.from_bytes(header, "big")))
        pieces: list[Piece] = chunk(request.text, request.language)
        write_frame(sink, answers.encode(pieces))


if __name__ == "__main__":
    main()
