"""`bawn index` and `bawn search` as processes of their own, and what is left when one is killed."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bawn.search.embedded import EmbeddedIndex
from bawn.search.tools import IndexSearch
from support.indexes import git, register, repository, write
from support.until import until

BAWN = [sys.executable, "-c", "from bawn.cli import main; main()"]
FILES = 400
KILLS = 20


def bawn(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    argv = [*BAWN, *map(str, arguments)]
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=60)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return repository(
        tmp_path / "demo",
        {"src/store.py": "class Store:\n    def save_item(self): ...\n", "README.md": "# Demo\n\nA store of items.\n"},
    )


def test_a_repository_is_added_indexed_and_searched(demo: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    assert "registered" in bawn("index", "add", demo, "--index", index).stdout
    assert "not indexed yet" in bawn("index", "status", "--index", index).stdout
    assert "demo: 2 files indexed" in bawn("index", "run", "--index", index).stdout
    assert "0 files indexed (0 chunks, 0.00 MB), 2 unchanged" in bawn("index", "run", "--index", index).stdout
    (row,) = json.loads(bawn("index", "status", "--json", "--index", index).stdout)["repositories"]
    assert (row["name"], row["files"], row["chunks"]) == ("demo", 2, 2)
    shown = bawn("search", "save", "item", "--index", index).stdout
    assert shown.startswith("demo src/store.py:1  Store, save_item\n    class Store:\n")
    result = json.loads(bawn("search", "--json", "--limit", "1", "Store", "--index", index).stdout)
    assert [chunk["path"] for chunk in result["chunks"]] == ["src/store.py"]
    bawn("index", "remove", "demo", "--index", index)


def test_a_run_over_a_folder_imports_no_http_client_and_no_progress_bar(demo: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    bawn("index", "add", demo, "--index", index)
    run = "import sys; from bawn.cli.main import cli; cli(sys.argv[1:], standalone_mode=False)"
    told = f"{run}; print(sorted({{'httpx', 'rich'}} & set(sys.modules)))"
    argv = [sys.executable, "-c", told, "index", "run", "--index", str(index)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", "a timer's run is imports, mostly"


@pytest.mark.parametrize("group", [[], ["index"]])
def test_each_command_of_the_help_has_a_help_of_its_own(group: list[str]) -> None:
    listed = bawn(*group, "--help").stdout.partition("Commands:\n")[2]
    names = [line.split()[0] for line in listed.splitlines() if re.match("  [a-z]", line)]
    assert len(names) > 9
    for name in names:
        assert f" {' '.join([*group, name])} [OPTIONS]" in bawn(*group, name, "--help").stdout


def test_the_index_is_private_to_its_owner(demo: Path, tmp_path: Path) -> None:
    bawn("index", "add", demo, "--index", tmp_path / "index")
    assert (tmp_path / "index").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["index", "run"], "No repository is registered"),
        (["index", "add", "/nonexistent"], "is not a folder"),
        (["index", "remove", "x"], "No repository `x`"),
        (["search", "x"], "There is no search index yet"),
        (["search", "?"], "no word to search for"),
    ],
)
def test_what_can_not_work_is_one_sentence(tmp_path: Path, arguments: list[str], reason: str) -> None:
    done = bawn(*arguments, "--index", tmp_path / "index", check=False)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_repository_that_is_gone_fails_the_run_by_name(demo: Path, tmp_path: Path) -> None:
    bawn("index", "add", demo, "--index", tmp_path / "index")
    demo.rename(tmp_path / "away")
    done = bawn("index", "run", "--index", tmp_path / "index", check=False)
    assert done.returncode == 1
    assert "demo" in done.stderr
    assert "is gone" in done.stderr


def _generated(count: int, marker: str) -> dict[str, str | bytes]:
    body = "".join(f"def step_{n}(value):\n    return value + {n}\n\n\n" for n in range(30))
    return {f"pkg{n % 7}/mod{n}.py": f"def {marker}_{n}():\n    pass\n\n\n{body}" for n in range(count)}


def _check_whole(index: Path, demo: Path) -> None:
    """The index has every file exactly once, as git has it, and every file's lines without hole or overlap."""
    reader = EmbeddedIndex(index / "code")
    listed = dict(reversed(line.split()[1::2]) for line in git(demo, "ls-files", "-s").splitlines())
    entries = reader.entries("demo")
    assert {path: blob for path, blob, _ in entries} == listed
    assert len(entries) == len(listed)
    for path in listed:
        line = 1
        for document in reader.file("demo", path):
            assert document.start_line == line, path
            line = document.end_line + 1
        assert "\n".join(d.text for d in reader.file("demo", path)) + "\n" == (demo / path).read_text()


def _start_run(index: Path) -> subprocess.Popen[bytes]:
    # Small commits: a run that is killed has committed some of its files, and not others.
    script = (
        "import bawn.indexer.indexing as i; assert i._COMMIT_BYTES; i._COMMIT_BYTES = 40_000; "
        f"from bawn.indexer.run import run_index; from pathlib import Path; run_index(Path({str(index)!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)


def _opstamp(index: Path) -> int:
    try:
        return json.loads((index / "code" / "meta.json").read_bytes())["opstamp"]
    except (OSError, ValueError):
        return 0


async def test_a_run_that_is_killed_is_continued_without_holes_or_duplicates(tmp_path: Path) -> None:
    demo = repository(tmp_path / "demo", _generated(FILES, "first"))
    index = tmp_path / "index"
    register(index, demo)
    generator = random.Random(7)
    interrupted = attempt = 0
    while interrupted < KILLS:
        if attempt:
            changed = _generated(FILES, f"round{attempt}")
            write(demo, dict(generator.sample(sorted(changed.items()), FILES // 2)))
            victim = generator.choice(git(demo, "ls-files").splitlines())
            git(demo, "add", "-A")
            git(demo, "mv", victim, f"moved{attempt}.py")
            git(demo, "add", "-A")
        before = _opstamp(index)
        process = _start_run(index)
        target = before + generator.randrange(0, 2_000)
        await until(lambda: _opstamp(index) > target or process.poll() is not None)  # noqa: B023 awaited at once
        interrupted += process.poll() is None
        process.kill()
        process.wait(10)
        # The next run is killed as well, or completes.
        if attempt % 2:
            bawn("index", "run", "--index", index)
            _check_whole(index, demo)
        attempt += 1
        assert attempt < 5 * KILLS, "runs end before they are killed"
    bawn("index", "run", "--index", index)
    _check_whole(index, demo)


async def test_a_reader_sees_what_another_process_commits(demo: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    register(index, demo)
    bawn("index", "run", "--index", index)
    reader = IndexSearch(index)
    assert reader.search("freshly_made").chunks == []
    write(demo, {"fresh.py": "def freshly_made(): ...\n"})
    bawn("index", "run", "--index", index)
    assert [chunk.path for chunk in reader.search("freshly_made").chunks] == ["fresh.py"]


async def test_searches_go_on_while_another_process_indexes(tmp_path: Path) -> None:
    demo = repository(tmp_path / "demo", _generated(FILES, "first"))
    index = tmp_path / "index"
    register(index, demo)
    bawn("index", "run", "--index", index)
    reader = IndexSearch(index)
    write(demo, _generated(FILES, "second"))
    process = _start_run(index)
    try:
        searches = 0
        while process.poll() is None:
            chunks = reader.search("step_3").chunks
            assert chunks
            searches += 1
    finally:
        process.wait(30)
    assert searches
    assert any(chunk.symbols[:1] == ["second_5"] for chunk in reader.search("second_5").chunks)


def test_a_second_run_beside_a_first_is_refused(demo: Path, tmp_path: Path) -> None:
    from bawn.indexer.lock import writer_lock

    index = tmp_path / "index"
    register(index, demo)
    with writer_lock(index):
        done = bawn("index", "run", "--index", index, check=False)
    assert done.returncode == 2
    assert f"process {os.getpid()}" in done.stderr
