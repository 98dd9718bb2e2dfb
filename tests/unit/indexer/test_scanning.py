"""What ignore files, attributes and the rules for secrets decide, over several runs."""

import os
from pathlib import Path

import pytest

from bawn.indexer import indexing
from bawn.indexer.cutting import Cutter
from bawn.indexer.indexing import Progress, index_repository
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry
from bawn.indexer.report import Report, read_reports
from bawn.indexer.run import run_index
from bawn.search.embedded import EmbeddedIndex, EmbeddedPublisher
from bawn.search.tools import IndexSearch
from support.canaries import canaries
from support.indexes import found, git, index, register, repository, write

TOKEN = next(canary.value for canary in canaries(5) if canary.rule == "npm-token")
PEM = next(canary.value for canary in canaries(5) if canary.rule == "private-key")


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


def paths(index_dir: Path, repo: str = "demo") -> set[str]:
    return {path for path, _, _ in EmbeddedIndex(index_dir / "code").entries(repo)}


def kinds(index_dir: Path, repo: str = "demo") -> dict[str, str]:
    reader = EmbeddedIndex(index_dir / "code")
    return {path: reader.file(repo, path)[0].kind for path, _, _ in reader.entries(repo)}


def report(index_dir: Path) -> Report:
    (only,) = read_reports(index_dir)
    return only


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "next")


@pytest.fixture(params=["work tree", "commit", "folder"])
def demo(request: pytest.FixtureRequest, tmp_path: Path, index_dir: Path):
    """A registered repository of each sort of source, and how it is changed."""
    root = tmp_path / "demo"
    root.mkdir()
    if request.param != "folder":
        repository(root, {})
    register(index_dir, root, branch="main" if request.param == "commit" else None)

    def change(files: dict[str, str | bytes], *deleted: str) -> Path:
        write(root, files)
        for name in deleted:
            (root / name).unlink()
        if request.param != "folder":
            commit(root)
        return root

    return change


def test_an_ignore_file_takes_files_out_and_lets_them_in_again(demo, index_dir: Path) -> None:
    demo({"a.py": "x = 1\n", "data/b.py": "y = 2\n", "sub/c.log": "z\n", "sub/d.log": "z\n"})
    run_index(index_dir)
    assert paths(index_dir) == {"a.py", "data/b.py", "sub/c.log", "sub/d.log"}
    demo({".bawnignore": "data/\n*.log\n", "sub/.bawnignore": "!d.log\n"})
    (outcome,) = run_index(index_dir)
    assert paths(index_dir) == {".bawnignore", "a.py", "sub/.bawnignore", "sub/d.log"}
    assert report(index_dir).left_out == {"data/": "ignored", "sub/c.log": "ignored"}
    assert outcome.progress is not None
    assert (outcome.progress.unchanged, outcome.progress.removed) == (2, 2)
    demo({}, ".bawnignore")
    run_index(index_dir)
    assert paths(index_dir) == {"a.py", "data/b.py", "sub/.bawnignore", "sub/c.log", "sub/d.log"}
    assert report(index_dir).left_out == {}


def test_attributes_decide_the_kind_and_a_change_of_them_counts(demo, index_dir: Path) -> None:
    demo({"a.py": "x = 1\n", "vendor/b.py": "y = 2\n", "api/c.py": "z = 3\n", "notes/d.txt": "w\n"})
    run_index(index_dir)
    assert kinds(index_dir) == {
        "a.py": "source",
        "vendor/b.py": "vendored",
        "api/c.py": "source",
        "notes/d.txt": "source",
    }
    demo({
        ".gitattributes": "vendor/** -linguist-vendored\napi/** linguist-generated=true\n",
        "notes/.gitattributes": "*.txt linguist-documentation\n",
    })  # fmt: skip
    (outcome,) = run_index(index_dir)
    changed = {"a.py": "source", "vendor/b.py": "source", "api/c.py": "generated", "notes/d.txt": "docs"}
    assert {path: kind for path, kind in kinds(index_dir).items() if path in changed} == changed
    assert outcome.progress is not None
    assert (outcome.progress.indexed, outcome.progress.unchanged) == (5, 1)
    (outcome,) = run_index(index_dir)
    assert outcome.progress is not None
    assert (outcome.progress.indexed, outcome.progress.unchanged) == (0, 6)


def test_the_report_follows_the_files(demo, index_dir: Path) -> None:
    demo({"a.py": f'x = 1\nt = "{TOKEN}"\n', "b.py": f"# {TOKEN}\n", "c.png": b"\0", "d.py": "x = 1\n"})
    (outcome,) = run_index(index_dir)
    assert outcome.progress is not None
    assert dict(outcome.progress.masked) == {"npm-token": 2}
    assert {path: rules["npm-token"].lines for path, rules in report(index_dir).masked.items()} == {
        "a.py": [2],
        "b.py": [1],
    }
    assert report(index_dir).left_out == {"c.png": "binary"}
    demo({"a.py": "x = 1\n", "d.py": f"\n\n# {TOKEN}\n"}, "c.png")
    run_index(index_dir)
    assert {path: rules["npm-token"].lines for path, rules in report(index_dir).masked.items()} == {
        "b.py": [1],
        "d.py": [3],
    }
    assert report(index_dir).left_out == {}
    demo({}, "b.py", "d.py")
    run_index(index_dir)
    assert report(index_dir).masked == {}


def test_with_other_rules_every_file_is_looked_at_anew(demo, index_dir: Path) -> None:
    demo({"a.py": f'x = 1\nt = "{TOKEN}"\n', "b.py": "x = 1\n"})
    run_index(index_dir)
    (file,) = (index_dir / "reports").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"version":', b'"version":9'))
    (outcome,) = run_index(index_dir)
    assert outcome.progress is not None
    assert (outcome.progress.indexed, outcome.progress.unchanged) == (2, 0)
    assert set(report(index_dir).masked) == {"a.py"}
    (outcome,) = run_index(index_dir)
    assert outcome.progress is not None
    assert (outcome.progress.indexed, outcome.progress.unchanged) == (0, 2)


def test_a_forgotten_repository_is_told_of_no_more(tmp_path: Path, index_dir: Path) -> None:
    index(index_dir, repository(tmp_path / "demo", {"x.png": b"\0"}), repository(tmp_path / "other", {"a.py": ""}))
    assert [one.repo for one in read_reports(index_dir)] == ["demo", "other"]
    with writer_lock(index_dir):
        Registry(index_dir).remove("demo")
    run_index(index_dir)
    assert [one.repo for one in read_reports(index_dir)] == ["other"]


def test_lines_after_a_masked_key_keep_their_numbers(tmp_path: Path, index_dir: Path) -> None:
    text = f'KEY = """{PEM}"""\n\n\ndef afterwards():\n    return KEY\n'
    index(index_dir, repository(tmp_path / "demo", {"a.py": text}))
    line = text[: text.index("def afterwards")].count("\n") + 1
    chunk = IndexSearch(index_dir).read_file("demo", "a.py", line, line)
    assert chunk.text == "def afterwards():"
    assert chunk.total_lines == text.count("\n")


def test_files_that_are_key_material_are_left_out_whole(tmp_path: Path, index_dir: Path) -> None:
    files: dict[str, str | bytes] = {"id_ed25519": "x", "tls/server.key": PEM, "store.p12": b"\0\1", "ok.py": "x = 1\n"}
    index(index_dir, repository(tmp_path / "demo", files))
    assert paths(index_dir) == {"ok.py"}
    assert report(index_dir).left_out == dict.fromkeys(["id_ed25519", "tls/server.key", "store.p12"], "key_file")


def test_what_a_mark_replaced_is_found_by_no_search(tmp_path: Path, index_dir: Path) -> None:
    index(index_dir, repository(tmp_path / "demo", {"a.py": f'npm_registry = "{TOKEN}"\n'}))
    assert found(index_dir, TOKEN.partition("_")[2]) == []
    assert found(index_dir, "npm_registry") == ["a.py"]


class _Died(Exception):
    """What ends a run in the middle."""


def test_what_a_run_that_died_has_committed_is_in_the_report(
    tmp_path: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository(tmp_path / "demo", {f"{name}.py": "x = 1\n" for name in "abcdef"})
    index(index_dir, root)
    write(root, {f"{name}.py": f'x = "{TOKEN}"\n' for name in "abcdef"})
    monkeypatch.setattr(indexing, "_COMMIT_BYTES", 0)

    def dies(progress: Progress) -> None:
        if progress.seen == 4:
            raise _Died

    (registered,) = Registry(index_dir).repositories()
    with pytest.raises(_Died):
        with EmbeddedPublisher(index_dir / "code") as publisher, Cutter() as cutter:
            index_repository(registered, publisher, cutter, index_dir, dies)
    (outcome,) = run_index(index_dir)
    assert outcome.progress is not None
    assert outcome.progress.unchanged == 3  # what was committed
    assert set(report(index_dir).masked) == {f"{name}.py" for name in "abcdef"}


def test_odd_names_in_a_plain_folder_are_walked_over(tmp_path: Path, index_dir: Path) -> None:
    root = tmp_path / "demo"
    root.mkdir()
    write(root, {".gitignore": "*.tmp\n", ".bawnignore": "*.log\nbig/\n", "a.py": "", "big/x.py": "", "big/y/z.py": ""})
    for name in (b"\xff.py", b"\xff.log", b"\xff.tmp"):
        (root / os.fsdecode(name)).write_bytes(b"x\n")
    index(index_dir, root)
    assert paths(index_dir) == {".bawnignore", ".gitignore", "a.py", "\\xff.py"}
    assert report(index_dir).left_out == {"\\xff.log": "ignored", "big/": "ignored"}
