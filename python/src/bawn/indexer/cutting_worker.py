"""The process that parses: a grammar that crashes or eats memory on some file takes this process along, and no more.

So does a library that reads documents, or an archive. Frames in both directions are msgpack after four bytes of length;
the content of a document follows the frame that speaks of it. The end of its input ends it.
"""

import resource
import signal
import sys
from pathlib import Path
from typing import IO, Final

import msgspec

from bawn.indexer.chunking import chunk
from bawn.indexer.libraries.library import Library
from bawn.indexer.memory import MEMORY, bounded

CUTTING_MEMORY: Final = 200_000_000
CUTTING_S: Final = 5
"""Bytes of address space and seconds of computing for one file of source. Most take milliseconds and some megabytes;
what is ambiguous at every character takes all there is, and then this process ends by a signal."""
DOCUMENT_MEMORY: Final = 128_000_000
"""Bytes of address space that the reading of one document, or archive, may take, beside its content."""


class Request(msgspec.Struct, frozen=True, array_like=True, tag="cut"):
    """A file to cut."""

    language: str
    text: str


class Document(msgspec.Struct, frozen=True, array_like=True, tag="extract"):
    """A document whose text is wanted."""

    language: str
    size: int
    """Bytes of content after the frame."""


class Package(msgspec.Struct, frozen=True, array_like=True, tag="unpack"):
    """A package of a library whose documentation is wanted."""

    archive: str
    """Its path."""
    library: Library


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
    requests, answers = msgspec.msgpack.Decoder(Request | Document | Package), msgspec.msgpack.Encoder()
    while header := source.read(4):
        request = requests.decode(source.read(int.from_bytes(header, "big")))
        if isinstance(request, Request):
            with bounded(CUTTING_MEMORY):
                # Of the process's own time, so that a busy host cuts as an idle one does.
                signal.setitimer(signal.ITIMER_VIRTUAL, CUTTING_S)
                answer: object = chunk(request.text, request.language)
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        elif isinstance(request, Package):
            from bawn.indexer.libraries.documentation import documentation

            with bounded(DOCUMENT_MEMORY):
                answer = documentation(Path(request.archive), request.library)
        else:
            # Not before it is needed: most repositories have no document.
            from bawn.indexer.documents.extracting import extract

            content = source.read(request.size)
            with bounded(DOCUMENT_MEMORY):
                answer = extract(content, request.language)
            del content
        write_frame(sink, answers.encode(answer))


if __name__ == "__main__":
    main()
