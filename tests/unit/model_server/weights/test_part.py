"""The file on its way: what of it survives, who may write it, and when it gets its name."""

import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.downloading import Origin
from bawn.model_server.weights.part import Part, hold
from bawn.model_server.weights.progress import Lines

CONTENT = b"GGUF" + bytes(range(256)) * 50
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://weights.example.org/a.gguf"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "a.gguf"


@pytest.fixture
def progress() -> Lines:
    return Lines("a.gguf", io.StringIO())


class Usage(NamedTuple):
    """What shutil says of a disk."""

    total: int
    used: int
    free: int


def disk_with(free: int) -> Callable[[Path], Usage]:
    def usage(_: Path) -> Usage:
        return Usage(total=10 << 30, used=(10 << 30) - free, free=free)

    return usage


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def begin(part: Part, data: bytes) -> None:
    part.expect(Origin(len(CONTENT), '"one"'))
    part.write(data)


def test_a_file_has_its_name_only_when_it_is_whole(target: Path) -> None:
    with hold(target, SHA256, URL) as part:
        begin(part, CONTENT[:100])
        assert names(target) == ["a.gguf.part", "a.gguf.part.json"]
        part.write(CONTENT[100:])
        assert not target.exists()
        part.finish()
        assert names(target) == ["a.gguf"]
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o444 == 0o444


def test_what_an_earlier_run_left_is_read_again_and_gone_on_with(target: Path, progress: Lines) -> None:
    with hold(target, SHA256, URL) as part:
        begin(part, CONTENT[:100])
    assert names(target) == ["a.gguf.part", "a.gguf.part.json"]
    with hold(target, SHA256, URL) as part:
        assert not part.resume(progress)
        assert (part.size, part.origin) == (100, Origin(len(CONTENT), '"one"'))
        part.write(CONTENT[100:])
        part.finish()
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_whole_already_needs_no_server(target: Path, progress: Lines) -> None:
    target.parent.mkdir()
    target.with_name("a.gguf.part").write_bytes(CONTENT)
    with hold(target, SHA256, URL) as part:
        assert part.resume(progress)
        part.finish()
    assert names(target) == ["a.gguf"]


def test_a_part_from_another_address_goes_on_but_says_nothing_of_this_server(target: Path, progress: Lines) -> None:
    with hold(target, SHA256, "https://elsewhere.example.org/a.gguf") as part:
        begin(part, CONTENT[:100])
    with hold(target, SHA256, URL) as part:
        assert not part.resume(progress)
        assert (part.size, part.origin) == (100, None)


def test_a_part_of_another_file_is_not_gone_on_with(target: Path, progress: Lines) -> None:
    with hold(target, "0" * 64, URL) as part:
        begin(part, CONTENT[:100])
    with hold(target, SHA256, URL) as part:
        assert not part.resume(progress)
        assert part.size == 0


@pytest.mark.parametrize("note", [b"", b"{", b"\xff", b'{"sha256": 1}'])
def test_a_note_that_power_cut_off_is_no_note(target: Path, progress: Lines, note: bytes) -> None:
    target.parent.mkdir()
    target.with_name("a.gguf.part").write_bytes(CONTENT[:100])
    target.with_name("a.gguf.part.json").write_bytes(note)
    with hold(target, SHA256, URL) as part:
        assert not part.resume(progress)
        assert (part.size, part.origin) == (100, None)


def test_a_wrong_hash_deletes_the_part_and_names_both_hashes(target: Path) -> None:
    with hold(target, SHA256, URL) as part:
        begin(part, b"GGUF of somebody else")
        with pytest.raises(SettingsError) as error:
            part.finish()
    found = hashlib.sha256(b"GGUF of somebody else").hexdigest()
    assert str(error.value).startswith(f"{URL}: what came has the SHA-256 {found}, and not {SHA256}: it is deleted.")
    assert names(target) == []


def test_whoever_got_nothing_leaves_nothing_behind(target: Path) -> None:
    with hold(target, SHA256, URL) as part:
        part.expect(Origin(5))
    assert names(target) == []


def test_a_part_has_one_writer(target: Path) -> None:
    with hold(target, SHA256, URL) as part:
        begin(part, CONTENT[:100])
        with pytest.raises(SettingsError, match=r"a\.gguf\.part: another `bawn weights fetch` is writing it"):
            with hold(target, SHA256, URL):
                pass
        with hold(target.with_name("b.gguf"), SHA256, URL):
            pass
    with hold(target, SHA256, URL):
        pass


def test_a_part_is_no_way_into_another_file(target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    target.parent.mkdir()
    target.with_name("a.gguf.part").symlink_to(victim)
    with pytest.raises(SettingsError, match="symbolic links"):
        with hold(target, SHA256, URL):
            pass
    assert victim.read_bytes() == b"precious"


def test_a_file_for_which_there_is_no_room_is_refused_before_it_comes(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold(target, SHA256, URL) as part:
        monkeypatch.setattr(shutil, "disk_usage", disk_with(3 << 20))
        with pytest.raises(SettingsError, match=r"a\.gguf needs 4 MiB more, and 3 MiB are free\. Make room"):
            part.expect(Origin((3 << 20) + 1))
        part.expect(Origin(3 << 20))
    assert names(target) == []


def test_what_is_there_already_needs_no_room(target: Path, progress: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold(target, SHA256, URL) as part:
        begin(part, CONTENT[:1000])
    monkeypatch.setattr(shutil, "disk_usage", disk_with(len(CONTENT) - 1000))
    with hold(target, SHA256, URL) as part:
        part.resume(progress)
        part.expect(Origin(len(CONTENT)))


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"file/deep: Not a directory\."):
        with hold(tmp_path / "file" / "deep" / "a.gguf", SHA256, URL):
            pass


def test_the_note_holds_no_more_than_it_must(target: Path) -> None:
    with hold(target, SHA256, URL) as part:
        begin(part, CONTENT[:100])
    note = msgspec.json.decode(target.with_name("a.gguf.part.json").read_bytes())
    assert note == {"sha256": SHA256, "url": URL, "origin": {"total": len(CONTENT), "validator": '"one"'}}
