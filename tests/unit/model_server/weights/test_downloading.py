"""A file that comes over connections that break, servers that can't go on, and files that change."""

import itertools
import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.downloading import SLOW_S, TIMEOUTS, TRIES, Origin, download, new_client
from bawn.model_server.weights.links import link

CONTENT = bytes(range(256)) * 64
URL = link("https://weights.example.org/a.gguf")


class Memory:
    """A sink."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.origin: Origin | None = None

    @property
    def size(self) -> int:
        return len(self.data)

    def expect(self, origin: Origin) -> None:
        self.origin = origin

    def write(self, data: bytes) -> None:
        self.data += data

    def restart(self) -> None:
        self.data.clear()
        self.origin = None


class Notes:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int | None]] = []
        self.notes: list[str] = []
        self.last = 0

    def stage(self, what: str, done: int, total: int | None) -> None:
        self.stages.append((what, done, total))

    def at(self, done: int) -> None:
        self.last = done

    def note(self, text: str) -> None:
        self.notes.append(text)


class Body(httpx.SyncByteStream):
    """Comes in pieces; breaks after `cut` bytes, where that is given."""

    def __init__(self, data: bytes, cut: int | None = None) -> None:
        self._data, self._cut = data, cut

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._data) if self._cut is None else self._cut, 1000):
            yield self._data[at : at + 1000]
        if self._cut is not None:
            raise httpx.ReadError("Connection reset by peer")


class Server:
    """Answers ranges like a good one, but for what `cuts` and the attributes say."""

    def __init__(self, content: bytes = CONTENT, *, etag: str | None = '"one"', ranges: bool = True) -> None:
        self.content, self.etag, self.ranges = content, etag, ranges
        self.heeds_if_range = True
        self.cuts: list[int | None] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        cut = self.cuts.pop(0) if self.cuts else None
        headers = {"etag": self.etag} if self.etag else {}
        asked = request.headers.get("range")
        same = not self.heeds_if_range or request.headers.get("if-range") in (None, self.etag)
        if not asked or not self.ranges or not same:
            headers["content-length"] = str(len(self.content))
            return httpx.Response(200, headers=headers, stream=Body(self.content, cut))
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.content):
            return httpx.Response(416, headers={"content-range": f"bytes */{len(self.content)}"})
        headers["content-range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        return httpx.Response(206, headers=headers, stream=Body(self.content[start:], cut))


def run(
    handler: Callable[[httpx.Request], httpx.Response],
    sink: Memory | None = None,
    *,
    now: Callable[[], float] | None = None,
) -> tuple[Memory, Notes, list[float]]:
    sink, notes, pauses = sink or Memory(), Notes(), list[float]()
    with httpx.Client(transport=httpx.MockTransport(handler)) as client:
        if now is None:
            download(client, URL, sink, notes, pause=pauses.append)
        else:
            download(client, URL, sink, notes, pause=pauses.append, now=now)
    return sink, notes, pauses


def part(size: int, origin: Origin | None = None) -> Memory:
    sink = Memory()
    sink.data += CONTENT[:size]
    sink.origin = origin
    return sink


def test_a_whole_file_comes_in_one_answer() -> None:
    server = Server()
    sink, notes, pauses = run(server)
    assert sink.data == CONTENT
    assert sink.origin == Origin(len(CONTENT), '"one"')
    assert notes.stages == [("fetching", 0, len(CONTENT))]
    assert (notes.last, notes.notes, pauses) == (len(CONTENT), [], [])
    (request,) = server.requests
    assert request.headers["accept-encoding"] == "identity"
    assert "range" not in request.headers


def test_a_connection_that_breaks_is_followed_at_once_by_one_that_goes_on() -> None:
    server = Server()
    server.cuts = [3000, 2000]
    sink, notes, pauses = run(server)
    assert sink.data == CONTENT
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=3000-", "bytes=5000-"]
    assert [request.headers.get("if-range") for request in server.requests] == [None, '"one"', '"one"']
    assert pauses == []
    assert notes.notes == ["the connection broke (Connection reset by peer); trying again"] * 2


def test_a_part_without_a_known_origin_goes_on() -> None:
    server = Server()
    sink, _, _ = run(server, part(5000))
    assert sink.data == CONTENT
    assert server.requests[0].headers["range"] == "bytes=5000-"
    assert "if-range" not in server.requests[0].headers


def test_a_server_that_ignores_ranges_starts_anew() -> None:
    sink, notes, _ = run(Server(ranges=False), part(5000))
    assert sink.data == CONTENT
    assert notes.notes == ["the server can't go on in the middle; from the start"]


def test_a_file_that_changed_is_noticed_by_the_server() -> None:
    sink, notes, _ = run(Server(CONTENT[::-1], etag='"two"'), part(5000, Origin(len(CONTENT), '"one"')))
    assert sink.data == CONTENT[::-1]
    assert notes.notes == ["the file at the server is another one now; from the start"]


@pytest.mark.parametrize("origin", [Origin(len(CONTENT), '"one"'), Origin(len(CONTENT) - 1, None)])
def test_a_file_that_changed_is_noticed_where_the_server_does_not_heed_if_range(origin: Origin) -> None:
    server = Server(CONTENT[::-1], etag='"two"')
    server.heeds_if_range = False
    sink, notes, _ = run(server, part(5000, origin))
    assert sink.data == CONTENT[::-1]
    assert "the file at the server is another one now; from the start" in notes.notes[0]


def test_a_weak_etag_is_not_asked_with_and_the_time_of_change_is() -> None:
    seen: list[httpx.Request] = []
    date = "Tue, 03 Nov 2026 10:00:00 GMT"

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        headers = {"etag": 'W/"one"', "last-modified": date, "content-length": str(len(CONTENT))}
        return httpx.Response(200, headers=headers, stream=Body(CONTENT, 1000 if len(seen) == 1 else None))

    sink, _, _ = run(answer)
    assert sink.data == CONTENT
    assert seen[1].headers["if-range"] == date


def test_a_part_that_is_longer_than_the_file_starts_anew() -> None:
    sink, _, _ = run(Server(CONTENT[:4000]), part(5000))
    assert sink.data == CONTENT[:4000]


@pytest.mark.parametrize("told", ["bytes 0-99/100", "bytes 5001-9999/10000", "nonsense", ""])
def test_another_part_than_was_asked_for_is_not_taken(told: str) -> None:
    server = Server()

    def answer(request: httpx.Request) -> httpx.Response:
        if "range" in request.headers:
            return httpx.Response(206, headers={"content-range": told}, stream=Body(b"wrong"))
        return server(request)

    sink, notes, _ = run(answer, part(5000))
    assert sink.data == CONTENT
    assert "another part of the file" in notes.notes[0]


def test_a_part_that_nobody_asked_for_is_not_taken() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(206, headers={"content-range": "bytes 0-4/9"}, stream=Body(b"wrong"))

    with pytest.raises(SettingsError, match="another part of the file"):
        run(answer)


def test_an_answer_that_ends_early_goes_on() -> None:
    server = Server()
    answers = iter([b"", CONTENT[:700]])

    def answer(request: httpx.Request) -> httpx.Response:
        short = next(answers, None)
        if short is None:
            return server(request)
        return httpx.Response(200, headers={"content-length": str(len(CONTENT)), "etag": '"one"'}, stream=Body(short))

    sink, notes, pauses = run(answer)
    assert sink.data == CONTENT
    assert notes.notes[1] == f"the connection ended after 700 of {len(CONTENT):,} bytes; trying again"
    assert pauses == [1.0]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_can_not_now_is_asked_again_with_growing_pauses_and_then_given_up(status: int) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status)

    pauses: list[float] = []
    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as client,
        pytest.raises(SettingsError, match=rf"the server answered {status}; given up after {TRIES} tries\.$"),
    ):
        download(client, URL, Memory(), Notes(), pause=pauses.append)
    assert pauses == [1, 2, 4, 8]
    assert len(asked) == TRIES


def test_a_server_that_says_when_is_asked_then_within_reason() -> None:
    server, waits = Server(), iter(["7", "99999"])

    def answer(request: httpx.Request) -> httpx.Response:
        wait = next(waits, None)
        return httpx.Response(503, headers={"retry-after": wait}) if wait else server(request)

    sink, _, pauses = run(answer)
    assert sink.data == CONTENT
    assert pauses == [7, 60]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 304])
def test_a_server_that_refuses_is_asked_once(status: int) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status)

    with pytest.raises(SettingsError, match=rf"a\.gguf: the server answered {status} "):
        run(answer)
    assert len(asked) == 1


def test_a_server_that_cuts_and_can_not_go_on_is_given_up() -> None:
    server = Server(ranges=False)
    server.cuts = [3000] * 20
    with pytest.raises(SettingsError, match="given up"):
        run(server)
    assert len(server.requests) == TRIES + 1


def test_a_packed_file_is_refused() -> None:
    with pytest.raises(SettingsError, match="packed"):
        run(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Body(CONTENT)))


def test_redirects_are_followed_with_the_range() -> None:
    server = Server()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "weights.example.org":
            return httpx.Response(302, headers={"location": "https://cdn.example.net/blob?signature=x"})
        return server(request)

    sink, _, _ = run(answer, part(5000))
    assert sink.data == CONTENT
    assert server.requests[0].headers["range"] == "bytes=5000-"


def test_a_redirect_away_from_tls_is_refused_before_it_is_followed() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"location": "http://cdn.example.net/blob"})

    with pytest.raises(SettingsError, match=r"leads to http://cdn\.example\.net: weights are fetched"):
        run(answer)
    assert len(asked) == 1


def test_redirects_without_end_are_left() -> None:
    numbers = itertools.count()
    with pytest.raises(SettingsError, match="more than 10 redirects"):
        run(lambda _: httpx.Response(302, headers={"location": f"/{next(numbers)}"}))


def test_a_connection_that_trickles_is_left_for_another() -> None:
    server = Server()
    clock = itertools.chain([0.0, 1.0, 1.0 + SLOW_S], itertools.repeat(2 * SLOW_S))
    sink, notes, _ = run(server, now=lambda: next(clock))
    assert sink.data == CONTENT
    assert notes.notes == ["fewer than 1000 bytes a second come; trying again"]
    assert len(server.requests) == 2


def test_a_certificate_that_is_not_trusted_is_no_matter_of_trying_again() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        cause = ssl.SSLCertVerificationError("certificate verify failed")
        cause.verify_message = "self-signed certificate"
        raise httpx.ConnectError("failed", request=request) from cause

    with pytest.raises(SettingsError, match="the certificate is not trusted: self-signed certificate"):
        run(answer)
    assert len(asked) == 1


def test_every_wait_of_the_client_is_bounded() -> None:
    with new_client() as client:
        assert client.timeout == TIMEOUTS
        assert all(value and value <= 60 for value in client.timeout.as_dict().values())
        assert not client.follow_redirects
