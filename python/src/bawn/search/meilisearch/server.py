"""The part of Meilisearch's HTTP API that we use, with bounds on time and size, and errors as one sentence.

Plain httpx, which the project has anyway. The official client has no bounds on what it reads and needs `requests`,
which is banned here; the asynchronous one needs pydantic and answers in its models. The client is a synchronous one,
since the methods of a backend are called in threads, as tantivy wants them: an event loop of its own would only stand
between two threads.
"""

import math
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from threading import Event
from typing import Any, Final, TypeVar

import httpx
import msgspec

from bawn.contracts.errors import RequestError, Unavailable, UpstreamBroken, UpstreamTimeout
from bawn.search.backend import NoIndex

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one answer."""
TASK_WITHIN_S: Final = 1800.0
"""For one task and all that are before it in the queue; a batch of ours takes some seconds."""

_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.25

A = TypeVar("A")


class Hit(msgspec.Struct, frozen=True):
    """A document that was found, as much of it as was asked for; see `stored.py` for its attributes."""

    id: str = ""
    format: int = 0
    published: int = 0
    repo: str = ""
    file: str = ""
    path: str = ""
    blob: str = ""
    document: msgspec.Raw = msgspec.Raw()


class Found(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to one query of a multi-search."""

    hits: list[Hit]
    total_hits: int = 0
    """Exact, and there only with `hitsPerPage`."""
    facet_distribution: dict[str, dict[str, int]] = {}


class _MultiSearch(msgspec.Struct, frozen=True):
    results: list[Found]


class _Fetched(msgspec.Struct, frozen=True):
    results: list[Hit]


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """A task that was taken into the queue."""

    task_uid: int


class TaskFailure(msgspec.Struct, frozen=True):
    """Why a task failed, and any other error."""

    message: str = ""
    code: str = ""


class _TaskState(msgspec.Struct, frozen=True):
    status: str
    error: TaskFailure | None = None


class _TaskList(msgspec.Struct, frozen=True):
    total: int


_FAILURE: Final = msgspec.json.Decoder(TaskFailure)


class TaskFailed(UpstreamBroken):
    """A task of Meilisearch that failed; carries what Meilisearch says of it."""

    def __init__(self, told: TaskFailure) -> None:
        super().__init__(f"Meilisearch could not do what the indexer asked for: {told.message} ({told.code})")
        self.told = told


def connect(url: str, key: str, *, read_s: float = 15.0) -> httpx.Client:
    """A client for the server at `url` that shows `key`; it may be used from several threads."""
    return httpx.Client(
        base_url=url,
        # Compressing an answer takes longer than passing it on within one host.
        headers={"authorization": f"Bearer {key}", "accept-encoding": "identity"},
        timeout=httpx.Timeout(connect=2.0, read=read_s, write=read_s, pool=5.0),
        limits=httpx.Limits(max_connections=16, max_keepalive_connections=4),
        trust_env=False,
    )


class Server:
    """A Meilisearch server, asked with one key."""

    def __init__(self, client: httpx.Client) -> None:
        """`client` knows the server's URL, the key, and all four timeouts; it is closed with this."""
        self._client = client
        weakref.finalize(self, client.close)

    def search(self, index: str, queries: Iterable[dict[str, Any]]) -> list[Found]:
        """The answers to several queries of one index, by one call.

        Raises:
            Unavailable: the server can't be reached, has no such index, or refuses the key.
            RequestError: it answers otherwise than it should.
        """
        body = {"queries": [{"indexUid": index, **query} for query in queries]}
        return self._ask("POST", "/multi-search", _MultiSearch, body=body).results

    def fetch(self, index: str, conditions: Sequence[str], attributes: Sequence[str], limit: int) -> list[Hit]:
        """Documents that meet all `conditions`, in no order: far cheaper than by a search.

        Raises:
            RequestError: as in `search`.
        """
        body = {"filter": list(conditions), "fields": attributes, "limit": limit}
        return self._ask("POST", f"/indexes/{index}/documents/fetch", _Fetched, body=body).results

    def get(self, path: str, answer: type[A]) -> A | None:
        """What is at `path`; None where nothing is.

        Raises:
            RequestError: as in `search`.
        """
        return self._ask("GET", path, answer, missing=True)

    def enqueue(self, method: str, path: str, body: object) -> Task:
        """Ask for something that Meilisearch does later; `wait` says when it is done.

        Raises:
            RequestError: as in `search`.
        """
        return self._ask(method, path, Task, body=body)

    def create(self, path: str, body: object) -> None:
        """Make something at once.

        Raises:
            RequestError: as in `search`.
        """
        self._ask("POST", path, msgspec.Raw, body=body)

    def add(self, index: str, documents: bytes | Iterable[bytes]) -> Task:
        """Put `documents`, one JSON object a line, into an index; they may come in pieces, cut anywhere.

        Raises:
            RequestError: as in `search`.
        """
        return self._ask("POST", f"/indexes/{index}/documents?primaryKey=id", Task, lines=documents)

    def wait(self, task: Task, *, within_s: float = TASK_WITHIN_S, allowed: Collection[str] = ()) -> None:
        """Return when a task is done, or has failed with an error of `allowed`.

        Raises:
            TaskFailed: it failed.
            UpstreamTimeout: it is not done in time.
            RequestError: as in `search`.
        """

        def done() -> bool:
            state = self._ask("GET", f"/tasks/{task.task_uid}", _TaskState)
            if state.status in ("failed", "canceled"):
                told = state.error or TaskFailure("it was canceled", state.status)
                if told.code not in allowed:
                    raise TaskFailed(told)
            return state.status not in ("enqueued", "processing")

        self.until(done, within_s)

    def settle(self, indexes: Sequence[str], *, within_s: float = TASK_WITHIN_S) -> None:
        """Return when the queue has nothing more for `indexes`: what an earlier run asked for is done or has failed.

        Raises:
            UpstreamTimeout: it is not done in time.
            RequestError: as in `search`.
        """
        path = f"/tasks?limit=1&statuses=enqueued,processing&indexUids={','.join(indexes)}"
        self.until(lambda: self._ask("GET", path, _TaskList).total == 0, within_s)

    def await_start(self, within_s: float) -> None:
        """Return when the server answers; it is asked again for `within_s` while it doesn't.

        Raises:
            RequestError: it still can't be reached, or fails.
        """
        until = time.monotonic() + within_s

        def answers() -> bool:
            try:
                self.get("/health", dict[str, object])
            except RequestError:
                if time.monotonic() >= until:
                    raise
                return False
            return True

        self.until(answers, math.inf)

    def until(self, done: Callable[[], bool], within_s: float) -> None:
        """Return when `done()` is true.

        Raises:
            UpstreamTimeout: it does not become so in time.
        """
        until, pause, never = time.monotonic() + within_s, _FIRST_PAUSE_S, Event()
        while not done():
            if time.monotonic() > until:
                raise UpstreamTimeout(
                    f"Meilisearch has not done its tasks within {math.ceil(within_s)} s; they stay in its queue."
                )
            never.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _ask(
        self,
        method: str,
        path: str,
        answer: type[A],
        *,
        body: object = None,
        lines: bytes | Iterable[bytes] | None = None,
        missing: bool = False,
    ) -> Any:
        kind = "application/json"
        content: bytes | Iterable[bytes] | None = None if body is None else msgspec.json.encode(body)
        if lines is not None:
            kind, content = "application/x-ndjson", lines
        headers = {} if content is None else {"content-type": kind}
        try:
            with self._client.stream(method, path, content=content, headers=headers) as response:
                told = _bounded(response)
        except httpx.ConnectError as error:
            raise Unavailable(
                f"Meilisearch can't be reached at {self._client.base_url}. See that it runs and that the URL is right."
            ) from error
        except httpx.TimeoutException as error:
            raise UpstreamTimeout("Meilisearch took too long.") from error
        except httpx.TransportError as error:
            raise UpstreamBroken("Meilisearch broke off.") from error
        if response.status_code >= 300:
            failure = _failure(told)
            if missing and response.status_code == 404:
                return None
            raise _refusal(response.status_code, failure)
        try:
            return msgspec.json.decode(told, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UpstreamBroken("Meilisearch answers in no known form.") from error


def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > MOST_BYTES:
            raise UpstreamBroken("Meilisearch answers without end.")
    return bytes(content)


def _failure(told: bytes) -> TaskFailure:
    try:
        return _FAILURE.decode(told)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return TaskFailure()


def _refusal(status: int, failure: TaskFailure) -> RequestError:
    if status in (401, 403):
        return Unavailable(
            "Meilisearch refuses the key, or the key may not do this. Make the keys with `bawn index meilisearch keys`."
        )
    if failure.code == "index_not_found":
        return NoIndex()
    if status in (408, 429, 503):
        return Unavailable("Meilisearch has too much to do.", retry_after=2.0)
    return UpstreamBroken(f"Meilisearch answers with status {status}: {failure.message or 'it does not say why.'}")
