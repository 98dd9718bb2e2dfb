"""Meilisearch: a server of the bench's own, asked untouched and as bawn's backend."""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final

import httpx
import msgspec

from bench.ports import free_port
from bench.search.engines import ours
from bench.search.engines.engine import Copy, Engine, NotMeasured, Search, windows
from bench.search.places import Place

UNTOUCHED: Final = "Meilisearch untouched"
OURS: Final = "bawn on Meilisearch"
_BATCH: Final = 2_000
_START_S: Final = 60.0
_TASK_S: Final = 3600.0
_POLL_S: Final = 0.05


def binary() -> str | None:
    """`MEILISEARCH_BIN`, or `meilisearch` on the path."""
    return os.environ.get("MEILISEARCH_BIN") or shutil.which("meilisearch")


def version() -> str:
    """Of the server."""
    program = binary()
    if program is None:
        return "not here"
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return "not here"
    return asked.stdout.strip().removeprefix("meilisearch ") or "not here"


class Meilisearch(msgspec.Struct, frozen=True):
    """A server that runs."""

    url: str
    key: str
    process: subprocess.Popen[bytes]

    def client(self) -> httpx.Client:
        """Asks it with the master key."""
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=120, trust_env=False
        )


@contextlib.contextmanager
def serving(folder: Path, prefix: tuple[str, ...] = (), options: Sequence[str] = ()) -> Generator[Meilisearch]:
    """A server with its data below `folder`; `prefix` stands before its command line, and `options` are its end.

    Raises:
        NotMeasured: there is none, or it doesn't come up.
    """
    program = binary()
    if program is None:
        raise NotMeasured("no server: `MEILISEARCH_BIN` names none, and none is on the path")
    port, key = free_port(), secrets.token_hex(16)
    place = Path(tempfile.mkdtemp(dir=folder))
    command = [
        *prefix, program, "--http-addr", f"127.0.0.1:{port}", "--db-path", str(place / "data"), "--no-analytics",
        "--dump-dir", str(place / "dumps"), "--env", "production", *options,
    ]  # fmt: skip
    environment = os.environ | {"MEILI_MASTER_KEY": key}
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment, cwd=place)
    except OSError as error:
        raise NotMeasured(f"{program} can't be run: {error.strerror}") from error
    server = Meilisearch(f"http://127.0.0.1:{port}", key, process)
    try:
        _wait(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait(server: Meilisearch) -> None:
    until = monotonic() + _START_S
    with server.client() as client:
        while monotonic() < until:
            if server.process.poll() is not None:
                raise NotMeasured(f"Meilisearch ended with status {server.process.returncode}")
            with contextlib.suppress(httpx.TransportError):
                if client.get("/health").status_code == 200:
                    return
            _pause(server.process)
    raise NotMeasured(f"Meilisearch was not ready within {_START_S:g} s")


def _pause(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_POLL_S)


@contextlib.contextmanager
def _answering() -> Generator[None]:
    """Say in one sentence that the server does not do what it is asked."""
    try:
        yield
    except httpx.HTTPError as error:
        raise NotMeasured(
            f"Meilisearch: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


def fill(server: Meilisearch, index: str, copy: Copy) -> None:
    """Give it the windows of a copy, with all settings as they come, and wait until it has them.

    Raises:
        NotMeasured: it could not take them.
    """
    found = windows(copy.files)
    with server.client() as client, _answering():
        for at in range(0, len(found), _BATCH):
            documents = [
                {"id": at + number, "path": place.path, "start": place.start, "end": place.end, "text": text}
                for number, (place, text) in enumerate(found[at : at + _BATCH])
            ]
            answer = client.post(f"/indexes/{index}/documents", json=documents)
            answer.raise_for_status()
            _finish(server, client, answer.json()["taskUid"])


def _finish(server: Meilisearch, client: httpx.Client, task: int) -> None:
    until = monotonic() + _TASK_S
    while monotonic() < until:
        told: dict[str, Any] = client.get(f"/tasks/{task}").raise_for_status().json()
        if told["status"] == "succeeded":
            return
        if told["status"] in ("failed", "canceled"):
            raise NotMeasured(f"Meilisearch could not index: {told.get('error', {}).get('code')}")
        _pause(server.process)
    raise NotMeasured(f"Meilisearch did not index within {_TASK_S:g} s")


def untouched(server: Meilisearch) -> Engine:
    """Line windows, and every setting as it comes."""

    @contextlib.contextmanager
    def opened(copy: Copy) -> Generator[Search]:
        fill(server, copy.label, copy)
        with server.client() as client:

            def search(text: str, limit: int) -> list[Place]:
                body = {"q": text, "limit": limit, "attributesToRetrieve": ["path", "start", "end"]}
                with _answering():
                    answer = client.post(f"/indexes/{copy.label}/search", json=body).raise_for_status()
                return [Place(hit["path"], hit["start"], hit["end"]) for hit in answer.json()["hits"]]

            yield search

    return Engine(UNTOUCHED, opened)


def use(server: Meilisearch, index_dir: Path, name: str) -> None:
    """Let an index of bawn be one of the server.

    Raises:
        NotMeasured: this version has no such backend.
    """
    index_dir.mkdir(parents=True, exist_ok=True)
    key_file = index_dir / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(server.key, encoding="utf-8")
    place = ("--url", server.url, "--key-file", str(key_file), "--name", name)
    ours.told("meilisearch", "use", *place, "--index", str(index_dir))


def as_our_backend(server: Meilisearch, scratch: Path) -> Engine:
    """bawn with its index there."""

    @contextlib.contextmanager
    def opened(copy: Copy) -> Generator[Search]:
        index_dir = scratch / f"{copy.label}-meilisearch"
        use(server, index_dir, f"bawn-{copy.label}")
        ours.told("add", str(copy.folder), "--name", copy.label, "--index", str(index_dir))
        ours.told("run", "--index", str(index_dir))
        yield ours.searching(index_dir)

    return Engine(OURS, opened)
