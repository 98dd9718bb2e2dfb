"""Weights into a folder: from a server, from a folder that was carried here, or not at all, since they are there."""

import errno
import hashlib
import io
import os
from pathlib import Path

import httpx
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.fetching import Wanted, fetch, take
from bawn.model_server.weights.progress import Lines

CONTENT = b"GGUF" + bytes(range(256)) * 50
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WANTED = Wanted("a.gguf", SHA256, "https://weights.example.org/a.gguf")


class Told(Lines):
    """Progress whose lines can be read."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        super().__init__("a.gguf", self.text)


@pytest.fixture
def told() -> Told:
    return Told()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def serving(content: bytes) -> httpx.Client:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(content))

    return httpx.Client(transport=httpx.MockTransport(answer))


def no_network() -> httpx.Client:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    return httpx.Client(transport=httpx.MockTransport(refuse))


def test_weights_are_fetched_and_then_left_alone(tmp_path: Path, told: Told) -> None:
    with serving(CONTENT) as client:
        brought = fetch(WANTED, tmp_path, client, told)
    assert (brought.path, brought.size, brought.way) == (tmp_path / "a.gguf", len(CONTENT), "fetched")
    before = brought.path.stat()
    with no_network() as client:
        again = fetch(WANTED, tmp_path, client, told)
    assert again.way == "already there"
    assert (brought.path.stat().st_ino, brought.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == ["a.gguf"]


def test_another_file_of_that_name_is_neither_used_nor_touched(tmp_path: Path, told: Told) -> None:
    (tmp_path / "a.gguf").write_bytes(b"mine")
    with (
        no_network() as client,
        pytest.raises(SettingsError, match=f"is there already with the SHA-256 .* not {SHA256}"),
    ):
        fetch(WANTED, tmp_path, client, told)
    assert (tmp_path / "a.gguf").read_bytes() == b"mine"
    assert names(tmp_path) == ["a.gguf"]


def test_a_folder_of_that_name_is_no_file(tmp_path: Path, told: Told) -> None:
    (tmp_path / "a.gguf").mkdir()
    with no_network() as client, pytest.raises(SettingsError, match="is no file"):
        fetch(WANTED, tmp_path, client, told)


def test_a_wrong_file_leaves_nothing_behind(tmp_path: Path, told: Told) -> None:
    with serving(b"GGUF, but another") as client, pytest.raises(SettingsError, match="it is deleted"):
        fetch(WANTED, tmp_path, client, told)
    assert names(tmp_path) == []
    assert "is kept" not in told.text.getvalue()


def test_a_part_that_is_kept_is_named(tmp_path: Path, told: Told) -> None:
    (tmp_path / "a.gguf.part").write_bytes(CONTENT[:100])
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    with client, pytest.raises(SettingsError, match="404"):
        fetch(WANTED, tmp_path, client, told)
    assert (tmp_path / "a.gguf.part").read_bytes() == CONTENT[:100]
    assert "a.gguf.part is kept" in told.text.getvalue()


def test_a_part_that_is_whole_is_taken_without_the_network(tmp_path: Path, told: Told) -> None:
    (tmp_path / "a.gguf.part").write_bytes(CONTENT)
    with no_network() as client:
        assert fetch(WANTED, tmp_path, client, told).path.read_bytes() == CONTENT


def test_weights_without_an_address_are_not_fetched(tmp_path: Path, told: Told) -> None:
    with no_network() as client, pytest.raises(SettingsError, match="nothing says where"):
        fetch(Wanted("a.gguf", SHA256), tmp_path, client, told)


@pytest.mark.parametrize("place", ["a.gguf", f"{SHA256}/a.gguf"])
def test_what_was_carried_here_is_verified_and_linked(tmp_path: Path, told: Told, place: str) -> None:
    source = tmp_path / "stick" / place
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    brought = take(WANTED, tmp_path / "stick", tmp_path / "weights", told)
    assert brought.way == "linked"
    assert brought.path.stat().st_ino == source.stat().st_ino
    assert names(tmp_path / "weights") == ["a.gguf"]


def test_a_link_that_was_carried_here_is_followed_to_its_file(tmp_path: Path, told: Told) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "blob").write_bytes(CONTENT)
    (stick / "a.gguf").symlink_to("blob")
    path = take(WANTED, stick, tmp_path / "weights", told).path
    assert not path.is_symlink()
    assert path.stat().st_ino == (stick / "blob").stat().st_ino


@pytest.mark.parametrize("left", [b"", CONTENT[:100], b"something else, and longer" * 1000])
def test_what_can_not_be_linked_is_copied(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    stick, weights = tmp_path / "stick", tmp_path / "weights"
    for folder in (stick, weights):
        folder.mkdir()
    (stick / "a.gguf").write_bytes(CONTENT)
    (weights / "a.gguf.part").write_bytes(left)
    brought = take(WANTED, stick, weights, told)
    assert brought.way == "copied"
    assert brought.path.read_bytes() == CONTENT
    assert brought.path.stat().st_ino != (stick / "a.gguf").stat().st_ino
    assert names(weights) == ["a.gguf"]


def test_a_wrong_file_that_was_carried_here_is_refused_and_left_where_it_is(tmp_path: Path, told: Told) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "a.gguf").write_bytes(b"GGUF, but another")
    with pytest.raises(SettingsError, match=f"--from: .*a.gguf has the SHA-256 .* not {SHA256}"):
        take(WANTED, tmp_path / "stick", tmp_path / "weights", told)
    assert (tmp_path / "stick" / "a.gguf").read_bytes() == b"GGUF, but another"
    assert names(tmp_path / "weights") == []


def test_what_was_not_carried_here_is_asked_for_with_its_hash(tmp_path: Path, told: Told) -> None:
    with pytest.raises(SettingsError) as error:
        take(WANTED, tmp_path / "nowhere", tmp_path / "weights", told)
    assert str(error.value) == (
        f"--from: {tmp_path}/nowhere has no a.gguf; carry it there from https://weights.example.org/a.gguf. "
        f"SHA-256: {SHA256}."
    )
