"""Size and hash of weights."""

import hashlib
import io
from pathlib import Path

import httpx
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.links import link
from bawn.model_server.weights.pinning import Pin, pin, pin_file
from bawn.model_server.weights.progress import Lines

CONTENT = b"GGUF" + bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = link("https://weights.example.org/a.gguf")


@pytest.fixture
def progress() -> Lines:
    return Lines("a.gguf", io.StringIO())


def serving(content: bytes, *, sized: bool = True) -> httpx.Client:
    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"content-length": str(len(content))} if sized else {}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(content))

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_a_pin_has_the_size_and_the_hash_of_what_came(progress: Lines) -> None:
    with serving(CONTENT) as client:
        assert pin(client, URL, progress) == Pin(len(CONTENT), SHA256)


def test_mebibytes_are_rounded_up() -> None:
    assert [Pin(size, "").size_mib for size in (1, 1 << 20, (1 << 20) + 1)] == [1, 1, 2]


def test_a_page_about_the_weights_is_not_pinned(progress: Lines) -> None:
    with serving(b"<!doctype html>") as client:
        with pytest.raises(SettingsError, match=r"is not a GGUF file, but perhaps a page about one"):
            pin(client, URL, progress)


@pytest.mark.parametrize("content", [b"", b"GG"])
def test_what_is_too_short_is_not_pinned(progress: Lines, content: bytes) -> None:
    with (
        serving(content) as client,
        pytest.raises(SettingsError, match="is not a GGUF file"),
    ):
        pin(client, URL, progress)


def test_what_may_have_been_cut_off_is_not_pinned(progress: Lines) -> None:
    with serving(CONTENT, sized=False) as client:
        with pytest.raises(SettingsError, match=r"doesn't say how large the file is.*--file"):
            pin(client, URL, progress)


def test_a_file_that_is_here_has_the_same_pin(tmp_path: Path, progress: Lines) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(CONTENT)
    assert pin_file(path, progress) == Pin(len(CONTENT), SHA256)


def test_a_file_that_is_not_here_is_named(tmp_path: Path, progress: Lines) -> None:
    with pytest.raises(SettingsError, match=r"a\.gguf: No such file or directory\."):
        pin_file(tmp_path / "a.gguf", progress)
