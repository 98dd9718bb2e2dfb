import os
from pathlib import Path

import pytest

from bawn.indexer.beneath import Beneath, NotAFile


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").write_bytes(b"content")
    return root


def test_a_file_below_the_root_is_read_up_to_a_limit(root: Path) -> None:
    with Beneath(root) as beneath:
        assert beneath.read(b"sub/file", 100) == b"content"
        assert beneath.read(b"sub/file", 3) == b"con"
        assert beneath.stat(b"sub/file").st_size == 7


@pytest.mark.parametrize(
    "path",
    [
        b"../outside/secret", b"sub/../../outside/secret", b"./sub/file", b"sub/./file", b"sub//file", b"/etc/passwd",
        b"..", b"../root/sub/file", b"sub/..",
    ],
)  # fmt: skip
def test_a_path_that_is_not_plain_is_refused_wherever_it_leads(root: Path, path: bytes) -> None:
    with Beneath(root) as beneath:
        with pytest.raises(OSError, match=r"."):
            beneath.read(path, 100)
        with pytest.raises(OSError, match=r"."):
            beneath.stat(path)


def test_no_link_is_followed_on_the_way_or_at_the_end(root: Path) -> None:
    (root / "folder").symlink_to("../outside")
    (root / "inside").symlink_to("sub")
    (root / "link").symlink_to("../outside/secret")
    (root / "loop").symlink_to("loop")
    (root / "here").symlink_to(".")
    with Beneath(root) as beneath:
        for path in (b"folder/secret", b"inside/file", b"link", b"loop", b"loop/file", b"here/sub/file"):
            with pytest.raises(OSError, match=r"."):
                beneath.read(path, 100)
            with pytest.raises(OSError, match=r"."):
                beneath.stat(path)


def test_a_folder_that_became_a_link_is_not_followed(root: Path) -> None:
    with Beneath(root) as beneath:
        assert beneath.read(b"sub/file", 100) == b"content"
        (root / "other").mkdir()
        (root / "other" / "file").write_bytes(b"other")
        assert beneath.read(b"other/file", 100) == b"other"
        (root / "sub").rename(root / "was")
        (root / "sub").symlink_to("../outside")
        with pytest.raises(OSError, match=r"."):
            beneath.read(b"sub/secret", 100)


def test_what_is_no_regular_file_is_not_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with Beneath(root) as beneath:
        for path in (b"pipe", b"sub"):
            with pytest.raises(NotAFile):
                beneath.stat(path)
            with pytest.raises(OSError, match=r"."):
                beneath.read(path, 100)
