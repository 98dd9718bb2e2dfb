"""`bawn index report` as a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from bawn.cli.index_report import WHY
from bawn.indexer.contents import SkipReason
from support.canaries import canaries
from support.indexes import index, register, repository

BAWN = [sys.executable, "-c", "from bawn.cli import main; main()"]
TOKEN = next(canary.value for canary in canaries(6) if canary.rule == "github-token")


def bawn(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    argv = [*BAWN, *map(str, arguments)]
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    pictures: dict[str, str | bytes] = {f"img/{number:02}.png": b"\0" for number in range(25)}
    app = repository(
        folder / "app",
        pictures
        | {
            "src/config.py": f'a = 1\nb = "{TOKEN}"\nc = "{TOKEN}"\n', "many.txt": f"{TOKEN}\n" * 9, "uv.lock": "",
            "data/x": "",
            ".bawnignore": "data/\n", f"{TOKEN}.txt": "x", "line\nbreak.p12": "x",
        },
    )  # fmt: skip
    index(folder / "index", app, repository(folder / "clean", {"a.py": "x = 1\n"}))
    return folder / "index"


def test_a_report_is_grouped_bounded_and_fits_a_terminal(index_dir: Path) -> None:
    lines = bawn("index", "report", "--index", index_dir).stdout.splitlines()
    assert lines[0] == "app: 2 files masked in part, 29 left out"
    assert lines[1:4] == [
        "  masked, github-token: 11 places in 2 files",
        "    many.txt:1,2,3,4,5,6 and 3 more",
        "    src/config.py:2,3",
    ]
    assert "  left out, binary: 25, no text" in lines
    assert "    img/19.png" in lines
    assert "    img/20.png" not in lines
    assert "    and 5 more (--all)" in lines
    assert "    data/" in lines
    assert "    line?break.p12" in lines
    assert "    <masked:github-token>.txt" in lines
    assert lines[-1] == "clean: 0 files masked in part, 0 left out"
    assert max(map(len, lines)) <= 80
    assert TOKEN not in "\n".join(lines)


def test_all_paths_or_one_repository_are_shown_on_demand(index_dir: Path) -> None:
    lines = bawn("index", "report", "app", "--all", "--index", index_dir).stdout.splitlines()
    assert "    img/24.png" in lines
    assert not any("more (--all)" in line or line.startswith("clean") for line in lines)


def test_a_program_reads_rules_paths_and_lines(index_dir: Path) -> None:
    told = json.loads(bawn("index", "report", "app", "--json", "--index", index_dir).stdout)
    (report,) = told["repositories"]
    assert {"path": "src/config.py", "rule": "github-token", "count": 2, "lines": [2, 3]} in report["masked"]
    assert {"path": "uv.lock", "reason": "lock_file"} in report["left_out"]
    assert report["finished"] is True


def test_a_run_says_what_it_masked(tmp_path: Path) -> None:
    register(tmp_path / "index", repository(tmp_path / "app", {"a.txt": f"{TOKEN}\n{TOKEN}\n"}))
    assert "masked: 2 github-token" in bawn("index", "run", "--index", tmp_path / "index").stdout


def test_what_is_not_indexed_or_not_registered_is_said(index_dir: Path, tmp_path: Path) -> None:
    assert "Nothing is indexed yet" in bawn("index", "report", "--index", tmp_path).stdout
    refused = bawn("index", "report", "nowhere", "--index", index_dir, check=False)
    assert refused.returncode == 2
    assert "No repository `nowhere` is registered. Registered: app, clean." in refused.stderr


def test_every_reason_is_explained() -> None:
    assert set(WHY) == set(get_args(SkipReason))
