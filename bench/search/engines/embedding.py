"""The model server that embeds for bawn with vectors: ours, with the GGUF that `EMBEDDING_MODEL` names."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import httpx

from bawn.search.placement import use_embedding
from bawn.search.vectors.settings import EmbeddingServer, EmbeddingSettings
from bench.ports import free_port
from bench.search.engines import ours
from bench.search.engines.engine import Copy, Engine, NotMeasured, Search

NAME: Final = "bawn with vectors"
_START_S: Final = 120.0


def model() -> Path | None:
    """The embedding model, if one is named."""
    named = os.environ.get("EMBEDDING_MODEL")
    return Path(named) if named else None


@contextmanager
def serving(folder: Path) -> Generator[str]:
    """URL of a server that embeds.

    Raises:
        NotMeasured: no model is named, or the server doesn't come up.
    """
    weights = model()
    if weights is None:
        raise NotMeasured("no embedding model: `EMBEDDING_MODEL` names no GGUF")
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
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


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


def with_vectors(url: str, scratch: Path) -> Engine:
    """The embedded index, ranked by meaning too."""

    @contextmanager
    def opened(copy: Copy) -> Generator[Search]:
        index_dir = scratch / f"{copy.label}-vectors"
        index_dir.mkdir()
        use_embedding(index_dir, EmbeddingSettings(model="embedder", servers=[EmbeddingServer(url=url)]))
        ours.told("add", str(copy.folder), "--name", copy.label, "--index", str(index_dir))
        ours.told("run", "--index", str(index_dir))
        yield ours.searching(index_dir)

    return Engine(NAME, opened)
