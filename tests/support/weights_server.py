"""A real HTTP server with one file, which cuts connections, holds them, ignores ranges, and changes the file."""

import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer

PIECE = 16 * 1024
HELD_S = 30
"""Seconds after which a connection goes on that nobody released."""


class WeightsServer:
    """What is served, and how the next answers misbehave. Every path but `/moved/…` leads to the file."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag: str | None = '"one"'
        self.ranges = True
        self.cuts: list[int] = []
        """Body bytes after which the next answers break off, one each; the ones after that are whole."""
        self.hold_after: int | None = None
        """Body bytes after which the next answer waits for `release`."""
        self.held, self.release = threading.Event(), threading.Event()
        self.requests: list[dict[str, str]] = []
        """Headers, with small letters."""
        self.port = 0

    def url(self, path: str = "a.gguf", *, scheme: str = "http") -> str:
        """An address of the file."""
        return f"{scheme}://127.0.0.1:{self.port}/{path}"


def _handler(server: WeightsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("location", self.path.removeprefix("/moved"))
                self.send_header("content-length", "0")
                self.end_headers()
                return
            server.requests.append({name.lower(): value for name, value in self.headers.items()})
            start = self._start()
            if start is not None and start >= len(server.content):
                self.send_response(416)
                self.send_header("content-range", f"bytes */{len(server.content)}")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            body = server.content[start or 0 :]
            self.send_response(200 if start is None else 206)
            if start is not None:
                self.send_header("content-range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
            if server.etag:
                self.send_header("etag", server.etag)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self._send(body)

        def _start(self) -> int | None:
            asked = self.headers.get("range")
            same = self.headers.get("if-range") in (None, server.etag)
            return int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges and same else None

        def _send(self, body: bytes) -> None:
            cut = server.cuts.pop(0) if server.cuts else None
            hold, server.hold_after = server.hold_after, None
            sent = 0
            while sent < len(body):
                stops = [stop for stop in (cut, hold) if stop is not None and stop > sent]
                piece = body[sent : min(sent + PIECE, *stops) if stops else sent + PIECE]
                self.wfile.write(piece)
                sent += len(piece)
                if sent == hold:
                    server.held.set()
                    server.release.wait(HELD_S)
                if sent == cut:
                    self.close_connection = True
                    return

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self: BaseServer, request: object, client_address: object) -> None:
        pass  # a client that was killed


@contextmanager
def serving(content: bytes, *, certificate: Path | None = None) -> Generator[WeightsServer]:
    """Serve `content` on loopback; with TLS where there is a `certificate` (PEM, with its key)."""
    server = WeightsServer(content)
    with _Quiet(("127.0.0.1", 0), _handler(server)) as http:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            http.shutdown()
            thread.join(HELD_S)
