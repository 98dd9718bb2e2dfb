"""The model server that embeds for bawn with vectors: ours, with the GGUF that `EMBEDDING_MODEL` names."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import httpx
import msgspec
from gguf import GGUFReader

from bawn.indexer.embedding import EmbeddingProgress, embed_all
from bawn.search.placement import use_embedding
from bawn.search.vectors.settings import EmbeddingServer, EmbeddingSettings
from bawn.search.vectors.stored import vectors_file
from bench.ports import free_port
from bench.search.engines import ours
from bench.search.engines.engine import Copy, Engine, NotMeasured, Search

NAME: Final = "bawn with vectors"
_START_S: Final = 120.0


class EmbeddingModel(msgspec.Struct, frozen=True):
    """A server that runs."""

    url: str
    name: str
    """As the GGUF has it, and how large that is."""
    process: subprocess.Popen[bytes]


@contextmanager
def serving(folder: Path) -> Generator[EmbeddingModel]:
    """A server that embeds with the GGUF that `EMBEDDING_MODEL` names.

    Raises:
        NotMeasured: no model is named, or the server doesn't come up.
    """
    named = os.environ.get("EMBEDDING_MODEL")
    if not named:
        raise NotMeasured("no embedding model: `EMBEDDING_MODEL` names no GGUF")
    weights = Path(named)
    port = free_port()
    settings = folder / "embedding.json"
    settings.write_text(
        json.dumps({"embedding_model": str(weights.absolute()), "embedding_alias": "embedder", "port": port}),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "bawn.cli", "model-server", "--settings", str(settings)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            _wait(f"http://127.0.0.1:{port}", process)
            yield EmbeddingModel(f"http://127.0.0.1:{port}", _called(weights), process)
        finally:
            process.terminate()


def _called(weights: Path) -> str:
    name = GGUFReader(weights).fields["general.name"].contents()
    return f"{name}, {weights.stat().st_size / 1e6:.0f} MB"


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = monotonic() + _START_S
    while monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    raise NotMeasured("the model server for embeddings doesn't come up")


class WithVectors(msgspec.Struct, frozen=True, kw_only=True):
    """bawn's embedded index, ranked by meaning too."""

    url: str
    """Of the server that embeds."""
    scratch: Path
    notes: list[str] = msgspec.field(default_factory=list[str])
    """What answers had to do without."""
    runs: list[EmbeddingProgress] = msgspec.field(default_factory=list[EmbeddingProgress])
    """One for each copy that was embedded."""

    @property
    def engine(self) -> Engine:
        """To be asked."""
        return Engine(NAME, self._opened)

    @contextmanager
    def _opened(self, copy: Copy) -> Generator[Search]:
        index_dir = self.scratch / f"{copy.label}-vectors"
        ours.told("add", str(copy.folder), "--name", copy.label, "--index", str(index_dir))
        ours.told("run", "--index", str(index_dir))
        use_embedding(index_dir, EmbeddingSettings(model="embedder", servers=[EmbeddingServer(url=self.url)]))
        # Copies of one project are alike: each run begins with what the one before has made, as on an appliance.
        kept, file = self.scratch / "vectors.sqlite", vectors_file(index_dir, "code")
        if kept.exists():
            file.parent.mkdir()
            shutil.copyfile(kept, file)
        (made,) = embed_all(index_dir)
        if made.stopped:
            raise NotMeasured(f"the vectors are not all there: {made.stopped}")
        shutil.copyfile(file, kept)
        self.runs.append(made)
        yield ours.searching(index_dir, self.notes)
