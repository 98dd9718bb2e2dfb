import os
from pathlib import Path

import pytest

from bawn.contracts.errors import NotFound, SettingsError
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry
from bawn.indexer.run import Outcome, run_index
from bawn.search.embedded import EmbeddedIndex
from bawn.search.tools import IndexSearch
from support.indexes import found, git, index, register, repository, write


def _counts(outcome: Outcome) -> tuple[int, int, int]:
    assert outcome.error is None
    assert outcome.progress is not None
    return outcome.progress.indexed, outcome.progress.unchanged, outcome.progress.removed


def _files(index_dir: Path, repo: str = "demo") -> dict[str, str]:
    return {path: blob for path, blob, _ in EmbeddedIndex(index_dir / "code").entries(repo)}


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return repository(
        tmp_path / "demo",
        {"alpha.py": "def alpha(): ...\n", "sub/beta.py": "def beta(): ...\n", ".gitignore": "*.log\nbuild/\n"},
    )


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


def test_blob_hashes_are_those_of_git(demo: Path, index_dir: Path) -> None:
    index(index_dir, demo)
    listed = (line.split() for line in git(demo, "ls-files", "-s").splitlines())
    assert _files(index_dir) == {path: blob for _, blob, _, path in listed}


def test_an_unchanged_repository_costs_nothing(demo: Path, index_dir: Path) -> None:
    (first,) = index(index_dir, demo)
    assert _counts(first) == (3, 0, 0)
    meta = (index_dir / "code" / "meta.json").stat().st_mtime_ns
    (second,) = run_index(index_dir)
    assert _counts(second) == (0, 3, 0)
    assert (index_dir / "code" / "meta.json").stat().st_mtime_ns == meta


def test_changed_new_and_deleted_files_are_followed(demo: Path, index_dir: Path) -> None:
    index(index_dir, demo)
    write(demo, {"alpha.py": "def omega(): ...\n", "gamma.py": "def gamma(): ...\n"})
    (demo / "sub/beta.py").unlink()
    (outcome,) = run_index(index_dir)
    assert _counts(outcome) == (2, 1, 1)
    assert found(index_dir, "alpha") == ["alpha.py"]  # by its path alone
    assert found(index_dir, "omega") == ["alpha.py"]
    assert found(index_dir, "gamma") == ["gamma.py"]
    assert found(index_dir, "beta") == []


def test_a_change_that_keeps_size_and_time_of_modification_is_seen(demo: Path, index_dir: Path) -> None:
    index(index_dir, demo)
    before = (demo / "alpha.py").stat()
    write(demo, {"alpha.py": "def alphb(): ...\n"})
    os.utime(demo / "alpha.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    (outcome,) = run_index(index_dir)
    assert _counts(outcome) == (1, 2, 0)


@pytest.mark.parametrize(("old", "new"), [("sub/beta.py", "moved/beta.py"), ("alpha.py", "Alpha.py")])
def test_a_renamed_file_moves(demo: Path, index_dir: Path, old: str, new: str) -> None:
    index(index_dir, demo)
    (demo / new).parent.mkdir(exist_ok=True)
    git(demo, "mv", old, new)
    (outcome,) = run_index(index_dir)
    assert _counts(outcome) == (1, 2, 1)
    assert new in _files(index_dir)
    assert old not in _files(index_dir)


def test_ignored_files_stay_out_and_untracked_ones_come_in(demo: Path, index_dir: Path) -> None:
    write(demo, {"x.log": "secret\n", "build/out.py": "x = 1\n", "fresh.py": "y = 2\n"})
    index(index_dir, demo)
    assert set(_files(index_dir)) == {".gitignore", "alpha.py", "fresh.py", "sub/beta.py"}


def test_a_plain_folder_keeps_to_its_gitignore_files(tmp_path: Path, index_dir: Path) -> None:
    write(
        tmp_path / "demo",
        {
            ".gitignore": "*.log\n/build/\n", "a.py": "", "a.log": "", "build/b.py": "", "sub/build/c.py": "",
            "sub/.gitignore": "!keep.log\n*.tmp\n", "sub/keep.log": "", "sub/d.tmp": "", "d.tmp": "",
            "node_modules/x.js": "",
        },
    )  # fmt: skip
    index(index_dir, tmp_path / "demo")
    assert set(_files(index_dir)) == {".gitignore", "a.py", "d.tmp", "sub/.gitignore", "sub/build/c.py", "sub/keep.log"}


def test_a_branch_is_indexed_from_its_commit(demo: Path, index_dir: Path) -> None:
    git(demo, "switch", "-q", "-c", "feature")
    write(demo, {"feature.py": "def feature(): ...\n"})
    git(demo, "add", "-A")
    git(demo, "commit", "-q", "-m", "feature")
    git(demo, "switch", "-q", "main")
    write(demo, {"dirty.py": "def dirty(): ...\n"})
    register(index_dir, demo, branch="feature")
    (outcome,) = run_index(index_dir)
    assert set(_files(index_dir)) == {".gitignore", "alpha.py", "feature.py", "sub/beta.py"}
    chunk = IndexSearch(index_dir).search("feature").chunks[0]
    assert chunk.commit == git(demo, "rev-parse", "feature")
    assert _counts(outcome) == (4, 0, 0)
    git(demo, "branch", "-q", "-D", "feature")
    (outcome,) = run_index(index_dir)
    assert "no branch `feature`" in (outcome.error or "")
    assert len(_files(index_dir)) == 4


def test_a_rewritten_branch_is_followed(demo: Path, index_dir: Path) -> None:
    register(index_dir, demo, branch="main")
    run_index(index_dir)
    git(demo, "switch", "-q", "--orphan", "other")
    write(demo, {"only.py": "def only(): ...\n"})
    git(demo, "add", "-A")
    git(demo, "commit", "-q", "-m", "anew")
    git(demo, "branch", "-q", "-f", "main", "other")
    run_index(index_dir)
    assert set(_files(index_dir)) == {"only.py"}


def test_what_is_no_source_is_left_out_and_counted(tmp_path: Path, index_dir: Path) -> None:
    demo = repository(
        tmp_path / "demo",
        {
            "ok.py": "x = 1\n",
            "uv.lock": "x\n",
            "pic.png": b"\x89PNG\0\0",
            "big.txt": b"x\n" * 600_000,
            "app.min.js": "x",
            "umlaut.txt": "größe".encode("latin-1"),
            os.fsdecode(b"odd-\xff.py"): "def odd(): ...\n",
        },
    )
    (outcome,) = index(index_dir, demo)
    assert outcome.progress is not None
    assert dict(outcome.progress.skipped) == {"lock_file": 1, "binary": 1, "too_large": 1, "minified": 1}
    assert set(_files(index_dir)) == {"ok.py", "umlaut.txt", "odd-\\xff.py"}
    assert found(index_dir, "größe") == ["umlaut.txt"]
    assert found(index_dir, "odd") == ["odd-\\xff.py"]


def test_links_and_pipes_are_not_followed(tmp_path: Path, index_dir: Path) -> None:
    write(tmp_path, {"outside/secret.py": "def secret(): ...\n"})
    demo = tmp_path / "demo"
    write(demo, {"a.py": "x = 1\n", "swap/secret.py": "def inside(): ...\n"})
    for link, target in {
        "loop": ".",
        "folder": "../outside",
        "file.py": "../outside/secret.py",
        "gone": "nowhere",
    }.items():
        (demo / link).symlink_to(target)
    os.mkfifo(demo / "pipe.py")
    repository(demo, {})
    # A tracked folder becomes a link out of the repository: git still lists the file below it.
    (demo / "swap/secret.py").unlink()
    (demo / "swap").rmdir()
    (demo / "swap").symlink_to("../outside")
    index(index_dir, demo)
    assert set(_files(index_dir)) == {"a.py"}
    (index_dir / "code").rename(tmp_path / "old")
    git_folder = demo / ".git"
    git_folder.rename(tmp_path / "git")
    run_index(index_dir)
    assert set(_files(index_dir)) == {"a.py"}
    with pytest.raises(NotFound):
        IndexSearch(index_dir).read_file("demo", "folder/secret.py")


def test_a_repository_runs_no_code_while_it_is_indexed(demo: Path, index_dir: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    script.chmod(0o755)
    write(demo, {".gitattributes": "* filter=evil diff=evil\n", "alpha.py": "def changed(): ...\n"})
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "post-checkout", "fsmonitor-watchman"):
        (hooks / hook).symlink_to(script)
    for key in (
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "core.fsmonitor",
        "diff.evil.textconv",
    ):
        git(demo, "config", key, str(script))
    git(demo, "config", "core.hooksPath", str(hooks))
    trap.unlink(missing_ok=True)
    index(index_dir, demo)
    register(index_dir, demo, "branched", "main")
    run_index(index_dir)
    assert not trap.exists()
    assert found(index_dir, "changed") == ["alpha.py"]


def test_git_variables_of_the_caller_do_not_mislead(
    demo: Path, index_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nothing"))
    index(index_dir, demo)
    assert len(_files(index_dir)) == 3


def test_a_repository_that_vanished_keeps_its_index_and_stops_no_other(
    tmp_path: Path, demo: Path, index_dir: Path
) -> None:
    other = repository(tmp_path / "other", {"o.py": "def other(): ...\n"})
    index(index_dir, demo, other)
    demo.rename(tmp_path / "away")
    write(other, {"o.py": "def changed(): ...\n"})
    gone, kept = run_index(index_dir)
    assert "is gone" in (gone.error or "")
    assert _counts(kept) == (1, 0, 0)
    assert len(_files(index_dir)) == 3


def test_a_forgotten_repository_leaves_the_index(tmp_path: Path, demo: Path, index_dir: Path) -> None:
    other = repository(tmp_path / "other", {"o.py": "def other(): ...\n"})
    index(index_dir, demo, other)
    with writer_lock(index_dir):
        Registry(index_dir).remove("demo")
    run_index(index_dir)
    assert IndexSearch(index_dir).repos() == ["other"]


def test_a_repository_name_that_begins_another_is_not_mixed_up(tmp_path: Path, index_dir: Path) -> None:
    for name in ("demo", "demo2", "demo-3"):
        index(index_dir, repository(tmp_path / name, {f"{name}.py": "x = 1\n"}))
    assert [list(_files(index_dir, name)) for name in ("demo", "demo2", "demo-3")] == [
        ["demo.py"],
        ["demo2.py"],
        ["demo-3.py"],
    ]


def test_a_rebuild_replaces_an_index_of_another_format(demo: Path, index_dir: Path) -> None:
    index(index_dir, demo)
    (index_dir / "code" / "format.json").write_text('{"format": 0}')
    with pytest.raises(SettingsError, match=r"format 0.*--rebuild"):
        run_index(index_dir)
    (outcome,) = run_index(index_dir, rebuild=True)
    assert _counts(outcome) == (3, 0, 0)
    assert found(index_dir, "alpha") == ["alpha.py"]
    assert not list(index_dir.glob("code.*"))


def test_an_open_reader_follows_commits_and_rebuilds(demo: Path, index_dir: Path) -> None:
    index(index_dir, demo)
    reader = IndexSearch(index_dir)
    assert reader.search("later").chunks == []
    write(demo, {"later.py": "def later(): ...\n"})
    run_index(index_dir)
    assert [chunk.path for chunk in reader.search("later").chunks] == ["later.py"]
    (demo / "later.py").unlink()
    run_index(index_dir, rebuild=True)
    assert reader.search("later").chunks == []


def test_without_fingerprints_the_run_is_the_same(demo: Path, index_dir: Path) -> None:
    index(index_dir, demo)
    for file in (index_dir / "fingerprints").iterdir():
        file.write_bytes(b"broken")
    (outcome,) = run_index(index_dir)
    assert _counts(outcome) == (0, 3, 0)


@pytest.mark.parametrize("name", ["../x", "a b", "", ".x", "a/b/c", "x\n"])
def test_a_name_that_could_be_a_path_is_refused(demo: Path, index_dir: Path, name: str) -> None:
    if not name:
        register(index_dir, demo, name)
        assert [r.name for r in Registry(index_dir).repositories()] == ["demo"]
        return
    with pytest.raises(SettingsError, match="can't name a repository"):
        register(index_dir, demo, name)


def test_two_repositories_of_one_name_are_refused(tmp_path: Path, demo: Path, index_dir: Path) -> None:
    register(index_dir, demo)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(SettingsError, match="--name"):
        register(index_dir, tmp_path / "elsewhere", "demo")


def test_an_unknown_branch_is_refused_when_it_is_added(demo: Path, tmp_path: Path, index_dir: Path) -> None:
    with pytest.raises(SettingsError, match="no branch `--help`"):
        register(index_dir, demo, branch="--help")
    (tmp_path / "plain").mkdir()
    with pytest.raises(SettingsError, match="no git repository"):
        register(index_dir, tmp_path / "plain", branch="main")


def test_a_second_writer_is_told_who_writes(index_dir: Path) -> None:
    with writer_lock(index_dir):
        with pytest.raises(SettingsError, match=f"process {os.getpid()}"):
            with writer_lock(index_dir):
                pass
    with writer_lock(index_dir):
        pass
