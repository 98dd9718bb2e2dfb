"""The peers that are Python packages, each in a process of the peers' environment that is asked line by line."""

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from bench.peers.environment import PEERS, peers_python
from bench.search.engines.engine import Copy, Engine, NotMeasured, Search
from bench.search.places import Place

BM25S: Final = "bm25s over line windows"
_MODEL_FREE: Final = "semble, model-free (alpha=0)"
_MODE_WITHIN_S: Final = 120
_STOP_S: Final = 20

_decoder: Final = msgspec.json.Decoder(list[Place])


def peer_command(script: str, *arguments: str) -> list[str]:
    """The command line of a peer.

    Raises:
        NotMeasured: the peers can't be installed.
    """
    python = peers_python("search")
    if isinstance(python, str):
        raise NotMeasured(python)
    return [str(python), str(PEERS / script), *arguments]


class Peer:
    """A peer's process: it says a line when its index is there, and answers each line with one."""

    def __init__(self, command: Sequence[str], scratch: Path) -> None:
        environment = os.environ | {"SEMBLE_CACHE_LOCATION": str(scratch), "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )

    def ready(self) -> None:
        """Wait for its index.

        Raises:
            NotMeasured: it ended.
        """
        self._answer()

    def search(self, text: str, limit: int) -> list[Place]:
        """See `Search`."""
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode([text, limit]) + b"\n")
        self.process.stdin.flush()
        return _decoder.decode(self._answer())

    def _answer(self) -> bytes:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, said = self.process.communicate(timeout=_STOP_S)
            last = said.decode(errors="replace").strip().splitlines()
            raise NotMeasured(f"it ended: {last[-1] if last else 'it said nothing'}")
        return line

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=_STOP_S)


def _engine(name: str, script: str, scratch: Path) -> Engine:
    @contextmanager
    def opened(copy: Copy) -> Generator[Search]:
        with Peer(peer_command(script, str(copy.folder)), scratch) as peer:
            peer.ready()
            yield peer.search

    return Engine(name, opened)


def bm25s(scratch: Path) -> Engine:
    """bm25s as it comes, over line windows."""
    return _engine(BM25S, "search_bm25s.py", scratch)


def semble(scratch: Path) -> Engine:
    """semble with its model, or without where that isn't here."""
    return _engine(semble_name(), "search_semble.py", scratch)


@cache
def semble_name() -> str:
    """What semble is called here: it says whether it has its model."""
    try:
        command = peer_command("search_semble.py")
    except NotMeasured:
        return _MODEL_FREE
    asked = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_MODE_WITHIN_S,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    return "semble" if asked.stdout.strip() == "model" else _MODEL_FREE
