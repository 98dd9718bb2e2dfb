"""Copies of repositories that are elsewhere, fetched from real git servers over TLS and ssh."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bawn.contracts.errors import SettingsError
from bawn.indexer import git as reading
from bawn.indexer.contents import MAX_BYTES
from bawn.indexer.remote import Remote, check, fetch
from support.forges import Forge, https_forge, ssh_forge
from support.indexes import git, repository, write


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    repository(tmp_path / "served" / "app", {"src/a.py": "def a(): ...\n", "big.bin": b"x" * (MAX_BYTES + 5)})
    with https_forge(tmp_path, tmp_path / "served") as forge:
        yield forge


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return tmp_path / "served" / "app"


def _files(folder: Path, branch: str = "main") -> dict[str, int | None]:
    commit = reading.branch_commit(folder, branch)
    return {file.path.decode(): file.size for file in reading.tree_files(folder, commit)}


def test_a_copy_has_the_last_commit_without_what_is_too_large(forge: Forge, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert fetch(forge.remote("app"), ["main"], copy) == ["main"]
    assert _files(copy) == {"src/a.py": 13, "big.bin": None}
    assert git(copy, "rev-list", "--count", "main") == "1"
    assert not (copy / "hooks").exists()


def test_what_is_pushed_comes_with_the_next_fetch(forge: Forge, origin: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    fetch(forge.remote("app"), ["main"], copy)
    write(origin, {"src/b.py": "def b(): ...\n"})
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "second")
    fetch(forge.remote("app"), ["main"], copy)
    assert "src/b.py" in _files(copy)


def test_a_branch_that_was_overwritten_is_what_it_is_there(forge: Forge, origin: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    fetch(forge.remote("app"), ["main"], copy)
    git(origin, "checkout", "-q", "--orphan", "anew")
    git(origin, "rm", "-rqf", ".")
    write(origin, {"only.py": "x = 1\n"})
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "anew")
    git(origin, "branch", "-M", "anew", "main")
    fetch(forge.remote("app"), ["main"], copy)
    assert list(_files(copy)) == ["only.py"]


def test_branches_come_by_pattern_and_go_when_they_are_gone(forge: Forge, origin: Path, tmp_path: Path) -> None:
    for branch in ("release/1", "release/2", "other"):
        git(origin, "branch", branch)
    remote, patterns = forge.remote("app"), ["main", "release/*"]
    copy = tmp_path / "copy"
    assert fetch(remote, patterns, copy) == ["main", "release/1", "release/2"]
    git(origin, "branch", "-D", "release/1")
    assert fetch(remote, patterns, copy) == ["main", "release/2"]
    assert "release/1" not in git(copy, "branch", "--list")
    assert fetch(forge.remote("app"), ["main"], copy) == ["main"]


def test_a_wrong_token_and_a_missing_repository_leave_the_copy_as_it_was(forge: Forge, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    fetch(forge.remote("app"), ["main"], copy)
    wrong = tmp_path / "wrong"
    wrong.write_text("ghp_wrong", encoding="utf-8")
    for remote in (forge.remote("app", token_file=str(wrong)), forge.remote("nowhere")):
        with pytest.raises(SettingsError) as refused:
            fetch(remote, ["main"], copy)
        assert str(refused.value).startswith(f"{remote.url}: git ls-remote failed: ")
        assert "ghp_wrong" not in str(refused.value)
        assert forge.token not in str(refused.value)
    with pytest.raises(SettingsError, match="has no branch nothing; it has main"):
        fetch(forge.remote("app"), ["nothing"], copy)
    assert "src/a.py" in _files(copy)


def test_a_certificate_that_nobody_vouches_for_is_refused(forge: Forge, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="certificate"):
        fetch(forge.remote("app", ca_file=None), ["main"], tmp_path / "copy")


def test_the_token_is_in_no_argument_of_a_process_and_in_no_file_of_the_copy(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    run = subprocess.run

    def noting(argv: list[str], **how: object) -> object:
        seen.extend(argv)
        return run(argv, **how)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(subprocess, "run", noting)
    fetch(forge.remote("app"), ["main"], tmp_path / "copy")
    assert seen
    assert not any(forge.token in piece for piece in seen)
    assert not any(
        forge.token.encode() in file.read_bytes() for file in (tmp_path / "copy").rglob("*") if file.is_file()
    )


def test_a_submodule_is_not_fetched(forge: Forge, origin: Path, tmp_path: Path) -> None:
    secret = repository(tmp_path / "elsewhere", {"secret.py": "x = 1\n"})
    git(origin, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(secret), "inner")
    git(origin, "commit", "-qm", "with a submodule")
    copy = tmp_path / "copy"
    fetch(forge.remote("app"), ["main"], copy)
    assert set(_files(copy)) == {"src/a.py", "big.bin", ".gitmodules"}
    assert not (copy / "modules").exists()


def test_a_deploy_key_opens_a_repository_over_ssh(tmp_path: Path) -> None:
    if shutil.which("sshd") is None and not Path("/usr/sbin/sshd").exists():
        pytest.skip("there is no sshd (openssh-server)")
    repository(tmp_path / "served" / "app", {"a.py": "x = 1\n"})
    with ssh_forge(tmp_path, tmp_path / "served") as forge:
        assert fetch(forge.remote("app"), ["main"], tmp_path / "copy") == ["main"]
        assert list(_files(tmp_path / "copy")) == ["a.py"]
        stranger = tmp_path / "stranger"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
        with pytest.raises(SettingsError, match=r"denied|Permission"):
            fetch(forge.remote("app", key_file=str(stranger)), ["main"], tmp_path / "copy")
        with pytest.raises(SettingsError, match=r"[Hh]ost key"):
            fetch(forge.remote("app", known_hosts_file="/dev/null"), ["main"], tmp_path / "copy")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ext::sh -c evil", "is no address"),
        ("file:///etc", "is no address"),
        ("http://example.org/app", "is no address"),
        ("git://example.org/app", "is no address"),
        ("--upload-pack=evil", "is no address"),
        ("-oProxyCommand=evil@host:app", "is no address"),
        ("https://user:secret@example.org/app", "into a file of its own"),
        ("ssh://git:secret@example.org/app", "into a file of its own"),
    ],
)
def test_addresses_that_run_things_or_hold_secrets_are_refused(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        check(Remote(url))
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://example.org/a/b.git", "ssh://git@example.org:22/a", "git@example.org:a/b.git"]
)
def test_addresses_of_forges_are_taken(url: str) -> None:
    check(Remote(url))


def test_a_key_of_the_other_protocol_is_refused() -> None:
    with pytest.raises(SettingsError, match="token_file: is not for ssh"):
        check(Remote("git@example.org:a", token_file="/x"))
    with pytest.raises(SettingsError, match="key_file: is not for https"):
        check(Remote("https://example.org/a", key_file="/x"))
