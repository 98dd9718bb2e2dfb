"""Files of a package registry over HTTPS: from its own hosts only, and never more than was asked for."""

import base64
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from bawn import __version__
from bawn.contracts.errors import SettingsError
from bawn.indexer.libraries.registries import PackageRegistry
from bawn.service.settings import read_secret

TIMEOUTS: Final = httpx.Timeout(connect=20, read=60, write=20, pool=20)
"""Seconds; `read` is between two pieces of the body."""
WITHIN_S: Final = 300.0
"""Seconds of one file, at most."""
MOST_REDIRECTS: Final = 5
_LATER: Final = frozenset({408, 425, 429})


class NotThere(Exception):
    """The registry has no such file, or one that is not taken; asking again soon brings the same."""


class Unreachable(Exception):
    """The registry can't be asked now."""


class Downloads:
    """The connections to one registry."""

    def __init__(self, registry: PackageRegistry) -> None:
        """Nothing is asked yet.

        Raises:
            SettingsError: the token or the certificate can't be read.
        """
        self._base = httpx.URL(registry.place)
        self._hosts = registry.hosts
        self._secret = _authorization(registry)
        context = httpx.create_ssl_context()
        # A company's own authority is among the system's.
        context.load_default_certs()
        if registry.ca_file is not None:
            try:
                context.load_verify_locations(registry.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"{registry.ca_file}: is no certificate that can be read: {error}.") from error
        headers = {"user-agent": f"bawn/{__version__}", "accept-encoding": "identity"}
        self._client = httpx.Client(verify=context, timeout=TIMEOUTS, headers=headers)

    def page(self, url: str, most: int, accept: str) -> tuple[str, bytes]:
        """A file of `most` bytes at most, with its content type; errors as for `save`."""
        with self._answer(url, accept) as response:
            content = b"".join(_bounded(response, most))
            return response.headers.get("content-type", "").partition(";")[0].strip(), content

    def save(self, url: str, target: Path, most: int) -> None:
        """Write a file of `most` bytes at most to `target`.

        Raises:
            NotThere: there is none, it is larger, or is elsewhere.
            Unreachable: it may come another time.
            OSError: it can't be written.
        """
        with self._answer(url, "*/*") as response, target.open("wb") as file:
            for data in _bounded(response, most):
                file.write(data)

    @contextmanager
    def _answer(self, url: str, accept: str) -> Generator[httpx.Response]:
        try:
            request = self._client.build_request("GET", url, headers={"accept": accept})
            for _ in range(MOST_REDIRECTS + 1):
                self._admit(request)
                with closing(self._client.send(request, stream=True, follow_redirects=False)) as response:
                    if response.next_request is None:
                        _check(response)
                        yield response
                        return
                    request = response.next_request
        except httpx.InvalidURL as error:
            raise NotThere(f"the registry names a wrong address: {error}") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self._base.host}: {_why(error)}") from error
        raise NotThere("the registry leads on and on")

    def _admit(self, request: httpx.Request) -> None:
        url = request.url
        if url.scheme != "https" or url.host not in self._hosts:
            raise NotThere(
                f"the registry leads to {url.scheme}://{url.host}, which is none of its hosts (--file-host names more)"
            )
        request.headers.pop("authorization", None)
        if self._secret and (url.host, url.port) == (self._base.host, self._base.port):
            request.headers["authorization"] = self._secret

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._client.close()


def _authorization(registry: PackageRegistry) -> str:
    if registry.token_file is None:
        return ""
    secret = read_secret(Path(registry.token_file))
    return f"Basic {base64.b64encode(secret.encode()).decode()}" if ":" in secret else f"Bearer {secret}"


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status in _LATER or status >= 500:
        raise Unreachable(f"{response.url.host} answers {status}")
    if status in (401, 407):
        raise Unreachable(f"{response.url.host} answers {status}; --token-file has what opens it")
    if status != 200:
        raise NotThere(f"{response.url.host} answers {status}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NotThere(f"{response.url.host} sends it packed, and was asked not to")


def _bounded(response: httpx.Response, most: int) -> Iterator[bytes]:
    told = response.headers.get("content-length", "")
    size, deadline = int(told) if told.isdecimal() else 0, time.monotonic() + WITHIN_S
    came = 0
    if size <= most:
        for data in response.iter_raw():
            came += len(data)
            if came > most:
                break
            if time.monotonic() > deadline:
                raise Unreachable(f"{response.url.host} is too slow")
            yield data
    if max(size, came) > most:
        raise NotThere(f"is larger than {most / 1e6:.0f} MB")


def _why(error: httpx.TransportError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {cause.verify_message} (--ca-file)"
        cause = cause.__cause__ or cause.__context__
    return "is silent" if isinstance(error, httpx.TimeoutException) else f"can't be reached ({error})"
