"""Git servers such as forges run: over TLS with a token, and over ssh with a deploy key; on loopback."""

import base64
import contextlib
import hmac
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from bawn.indexer.remote import Remote
from support.ports import free_port

_BACKEND: Final = ("git", "http-backend")
_FILTERS: Final = {  # as every forge has it
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
    "GIT_CONFIG_VALUE_1": "true",
    "GIT_CONFIG_KEY_2": "safe.directory",
    "GIT_CONFIG_VALUE_2": "*",
}


@dataclass
class Forge:
    """Where its repositories are, and what opens them."""

    base: str
    access: dict[str, Any]
    """Of `Remote`."""
    token: str = ""
    asked: list[str] = field(default_factory=list[str])
    """Paths of requests."""

    def remote(self, name: str, **other: Any) -> Remote:
        """A repository; `other` than what opens it."""
        return Remote(**{"url": f"{self.base}/{name}", **self.access, **other})


@contextlib.contextmanager
def https_forge(folder: Path, served: Path) -> Iterator[Forge]:
    """Serves the repositories in `served`, for who has the token; its files are in `folder`."""
    certificate, key, token_file = folder / "forge.pem", folder / "forge.key", folder / "forge.token"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    token = "glpat-a-token-of-the-forge"
    token_file.write_text(token, encoding="utf-8")
    port = free_port()
    forge = Forge(
        f"https://localhost:{port}", {"token_file": str(token_file), "ca_file": str(certificate)}, token=token
    )
    allowed = f"Basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(served, allowed, forge.asked))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(served: Path, allowed: str, asked: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def _answer(self, body: bytes) -> None:
            asked.append(self.path)
            if not hmac.compare_digest(self.headers.get("Authorization", ""), allowed):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="forge"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                _BACKEND,
                input=body,
                capture_output=True,
                check=False,
                env={
                    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
                    **_FILTERS,
                    "GIT_PROJECT_ROOT": str(served),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "CONTENT_LENGTH": str(len(body)),
                },
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if line)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name is the base class's
            pass

    return Handler


@contextlib.contextmanager
def ssh_forge(folder: Path, served: Path) -> Iterator[Forge]:
    """An sshd that lets one key in, for reading the repositories in `served`; its files are in `folder`."""
    port = free_port()
    host_key, deploy_key, known = folder / "host", folder / "deploy", folder / "known_hosts"
    for key in (host_key, deploy_key):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = host_key.with_suffix(".pub").read_text(encoding="utf-8")
    known.write_text(f"[127.0.0.1]:{port} {public}", encoding="utf-8")
    keys, config = folder / "authorized_keys", folder / "sshd_config"
    environment = " ".join(f"{name}={value}" for name, value in _FILTERS.items())
    command = f'{environment} git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"'
    keys.write_text(f'restrict,command="{command}" {deploy_key.with_suffix(".pub").read_text()}', encoding="utf-8")
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {keys}\nStrictModes no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n",
        encoding="utf-8",
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    with subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL) as server:
        try:
            scan = ["ssh-keyscan", "-T", "1", "-p", str(port), "127.0.0.1"]
            until = time.monotonic() + 20
            while not subprocess.run(scan, check=False, capture_output=True).stdout:
                assert time.monotonic() < until, "sshd does not answer"
            access = {"key_file": str(deploy_key), "known_hosts_file": str(known)}
            yield Forge(f"ssh://{user}@127.0.0.1:{port}{served}", access)
        finally:
            server.terminate()
