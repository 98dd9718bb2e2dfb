"""Package archives made in memory, and a registry of all ecosystems that serves them over TLS on loopback."""

import contextlib
import gzip
import hashlib
import io
import json
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bawn.indexer.libraries.library import ECOSYSTEMS, Ecosystem
from bawn.indexer.libraries.registries import PackageRegistry

Content = str | bytes


def raw(content: Content) -> bytes:
    """`content` as bytes."""
    return content.encode() if isinstance(content, str) else content


def tar_gz(files: Mapping[str, Content], *others: tarfile.TarInfo) -> bytes:
    """A `.tar.gz` of `files`; `others` are links, devices and what else has no content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info in others:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw(content))
            archive.addfile(info, io.BytesIO(raw(content)))
    return buffer.getvalue()


def zip_of(files: Mapping[str, Content]) -> bytes:
    """A `.zip` of `files`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, raw(content))
    return buffer.getvalue()


def bomb(size: int) -> bytes:
    """A `.tar.gz` with one file of `size` zeros, compressed as they come."""
    info = tarfile.TarInfo("p-1/README.md")
    info.size = size
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as packed:
        packed.write(info.tobuf())
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    """As lock files of Python and Cargo write it."""
    return hashlib.sha256(content).hexdigest()


Misbehave = Callable[[BaseHTTPRequestHandler, bytes], bool]
"""Answers in place of the registry; False where it did not."""


@dataclass
class LoopbackRegistry:
    """What is served, by path, and what was asked for."""

    base: str
    ca_file: str
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    types: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Path, and the header `authorization`."""
    misbehave: dict[str, Misbehave] = field(default_factory=dict[str, Misbehave])

    @property
    def paths(self) -> list[str]:
        """What was asked for."""
        return [path for path, _ in self.asked]

    def place(self, ecosystem: Ecosystem) -> str:
        """Its address as the package manager is given it."""
        return f"{self.base}/{ecosystem}"

    def of(self, ecosystem: Ecosystem, **other: Any) -> PackageRegistry:
        """It, as a setting."""
        return PackageRegistry(**{"place": self.place(ecosystem), "ca_file": self.ca_file, **other})

    def settings(self) -> dict[Ecosystem, PackageRegistry]:
        """It, for every ecosystem."""
        return {ecosystem: self.of(ecosystem) for ecosystem in ECOSYSTEMS}

    def add_python(self, name: str, archives: Mapping[str, bytes], *, html: bool = False) -> None:
        """The archives of a package of Python, by file name, and the page that lists all of that package."""
        listed = [(file, f"../../files/{file}", sha256(content)) for file, content in archives.items()]
        for file, content in archives.items():
            self.files[f"/files/{file}"] = content
        if html:
            page = "".join(f'<a href="{url}#sha256={digest}">{file}</a>' for file, url, digest in listed).encode()
        else:
            page = json.dumps(
                {
                    "files": [
                        {"filename": file, "url": url, "hashes": {"sha256": digest}} for file, url, digest in listed
                    ]
                }
            ).encode()
        self.files[f"/pypi/{name}/"] = page
        self.types[f"/pypi/{name}/"] = "text/html" if html else "application/vnd.pypi.simple.v1+json"


@contextlib.contextmanager
def loopback_registry(folder: Path) -> Iterator[LoopbackRegistry]:
    """A registry with its certificate in `folder`."""
    certificate, key = folder / "registry.pem", folder / "registry.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    registry = LoopbackRegistry("", str(certificate))
    server = _Quiet(("127.0.0.1", 0), _handler(registry))
    registry.base = f"https://localhost:{server.server_address[1]}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away


def _handler(registry: LoopbackRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            registry.asked.append((self.path, self.headers.get("authorization", "")))
            content = registry.files.get(self.path)
            misbehave = registry.misbehave.get(self.path)
            if misbehave is not None and misbehave(self, content or b""):
                return
            answer(self, 404 if content is None else 200, content or b"", registry.types.get(self.path, "x/y"))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name is the base class's
            pass

    return Handler


def answer(handler: BaseHTTPRequestHandler, status: int, content: bytes, kind: str = "x/y", **headers: str) -> None:
    """Answer a request; `headers` have `_` for `-`."""
    handler.send_response(status)
    handler.send_header("content-type", kind)
    for name, value in {"content_length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)
