"""One file over HTTP into a sink: a connection that breaks is followed by another, which goes on where it broke.

Ranges are those of RFC 9110, 13.1.5 and 14.
"""

import re
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Final, Protocol

import httpx
import msgspec

from bawn import __version__
from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.links import check_hop
from bawn.model_server.weights.progress import Progress

TIMEOUTS: Final = httpx.Timeout(connect=20, read=60, write=20, pool=20)
"""Seconds; `read` is between two pieces of the body."""
TRIES: Final = 5
"""Connections in a row that bring nothing new, until a download is given up."""
MOST_REDIRECTS: Final = 10
SLOW_S, SLOWEST_BYTES_S = 60.0, 1000
"""A connection that has brought less than this for so many seconds is left for another one."""
_LONGEST_PAUSE_S: Final = 60.0
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_BUSY: Final = frozenset({408, 425, 429})
"""What may be answered otherwise a little later, like every 5xx."""


class Origin(msgspec.Struct, frozen=True):
    """What a server says of a file, by which another file under the same address is noticed."""

    total: int | None = None
    """Bytes."""
    validator: str | None = None
    """Its strong ETag, else the time of its last change: what `If-Range` takes."""

    def differs(self, other: "Origin") -> bool:
        """Whether the two are certainly not of one file."""
        pairs = ((self.total, other.total), (self.validator, other.validator))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


class Sink(Protocol):
    """Where the bytes go."""

    @property
    def size(self) -> int:
        """Bytes that it has."""
        ...

    @property
    def origin(self) -> Origin | None:
        """What they are of, where that is known."""
        ...

    def expect(self, origin: Origin) -> None:
        """Told before bytes come; raises `SettingsError` when there is no room for them."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def restart(self) -> None:
        """Forget all bytes, and what they were of."""


def new_client() -> httpx.Client:
    """A client for `download`, with its timeouts. Proxies and authorities are those of the environment."""
    return httpx.Client(timeout=TIMEOUTS, headers={"user-agent": f"bawn/{__version__}"})


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def download(
    client: httpx.Client,
    url: httpx.URL,
    sink: Sink,
    progress: Progress,
    *,
    pause: Callable[[float], None] = _pause,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Fetch `url` into `sink`, from where the sink is.

    The server's word for the file's size is kept to. Whether it is the right file, only its hash can say.

    Raises:
        SettingsError: the server refuses, leads to another scheme than https, can't be trusted or reached.
    """
    failures, most = 0, sink.size
    while True:
        try:
            _take(client, url, sink, progress, now)
            return
        except _BrokenError as error:
            failures = 0 if sink.size > most else failures + 1
            most = max(most, sink.size)
            if failures == TRIES:
                raise SettingsError(f"{url}: {error}; given up after {TRIES} tries.") from error
            # One that brought something is followed at once.
            seconds = min(_LONGEST_PAUSE_S, error.retry_after or (2.0 ** (failures - 1) if failures else 0.0))
            progress.note(f"{error}; trying again{f' in {seconds:.0f} s' if seconds else ''}")
            if seconds:
                pause(seconds)


class _BrokenError(Exception):
    """Another connection may do better."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _Pace:
    """Notices a connection that trickles: each single wait is short, the whole would never end."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._since, self._bytes = now, now(), 0

    def came(self, count: int) -> None:
        self._bytes += count
        seconds = self._now() - self._since
        if seconds < SLOW_S:
            return
        if self._bytes < SLOWEST_BYTES_S * seconds:
            raise _BrokenError(f"fewer than {SLOWEST_BYTES_S} bytes a second come")
        self._since, self._bytes = self._now(), 0


def _take(client: httpx.Client, url: httpx.URL, sink: Sink, progress: Progress, now: Callable[[], float]) -> None:
    """What one connection brings."""
    headers = {"accept-encoding": "identity"}
    if sink.size:
        headers["range"] = f"bytes={sink.size}-"
        if sink.origin is not None and sink.origin.validator is not None:
            headers["if-range"] = sink.origin.validator
    with _named(url), _answer(client, url, headers) as response:
        origin = _begin(url, response, sink, progress)
        sink.expect(origin)
        progress.stage("fetching", sink.size, origin.total)
        pace = _Pace(now)
        for data in response.iter_raw():
            sink.write(data)
            progress.at(sink.size)
            pace.came(len(data))
        if origin.total is not None and sink.size != origin.total:
            raise _BrokenError(f"the connection ended after {sink.size:,} of {origin.total:,} bytes")


@contextmanager
def _named(url: httpx.URL) -> Generator[None]:
    """What httpx raises, as what it means here."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _BrokenError("the server is silent") from error
    except httpx.TransportError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise SettingsError(f"{url}: the certificate is not trusted: {cause.verify_message}.") from error
            cause = cause.__cause__ or cause.__context__
        raise _BrokenError(f"the connection broke ({error})") from error


@contextmanager
def _answer(client: httpx.Client, url: httpx.URL, headers: dict[str, str]) -> Generator[httpx.Response]:
    """The answer at the end of all redirects, each of which is judged before it is followed."""
    request = client.build_request("GET", url, headers=headers)
    for _ in range(MOST_REDIRECTS + 1):
        with closing(client.send(request, stream=True, follow_redirects=False)) as response:
            if response.next_request is None:
                yield response
                return
            request = response.next_request
        check_hop(url, request.url)
    raise SettingsError(f"{url}: leads on and on, through more than {MOST_REDIRECTS} redirects.")


def _begin(url: httpx.URL, response: httpx.Response, sink: Sink, progress: Progress) -> Origin:
    """What the bytes to come are of; the sink is then where they begin."""
    status = response.status_code
    if status in _BUSY or status >= 500:
        raise _BrokenError(f"the server answered {status}", _retry_after(response))
    if status == 416 and sink.size:
        sink.restart()
        raise _BrokenError("the server has fewer bytes than are here; from the start")
    if status not in (200, 206):
        raise SettingsError(f"{url}: the server answered {status} {response.reason_phrase}.")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SettingsError(f"{url}: the server sends the file packed, and was asked not to.")
    if status == 206:
        return _continued(response, sink)
    length = response.headers.get("content-length", "")
    origin = Origin(int(length) if length.isdecimal() else None, _validator(response))
    if sink.size:
        changed = sink.origin is not None and sink.origin.differs(origin)
        why = "the file at the server is another one now" if changed else "the server can't go on in the middle"
        progress.note(f"{why}; from the start")
        sink.restart()
    return origin


def _continued(response: httpx.Response, sink: Sink) -> Origin:
    told = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if told is None or int(told[1]) != sink.size or not sink.size:
        sink.restart()
        raise _BrokenError("the server sent another part of the file than was asked for; from the start")
    origin = Origin(None if told[2] == "*" else int(told[2]), _validator(response))
    if sink.origin is not None and sink.origin.differs(origin):
        sink.restart()
        raise _BrokenError("the file at the server is another one now; from the start")
    return origin


def _validator(response: httpx.Response) -> str | None:
    etag = response.headers.get("etag", "")
    # A weak one promises the same meaning, not the same bytes.
    return etag if etag.startswith('"') else response.headers.get("last-modified")


def _retry_after(response: httpx.Response) -> float | None:
    told = response.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else None
