"""What the bootstrap says before anything slow starts."""

import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parents[2] / "python"


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The bootstrap in a checkout where nothing is installed yet."""
    folder = tmp_path / "checkout" / "python"
    folder.mkdir(parents=True)
    for name in ("bootstrap.py", "pyproject.toml", "uv.lock"):
        shutil.copy(PYTHON / name, folder / name)
    return folder / "bootstrap.py"


def bootstrap(script: Path, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        env={"PATH": str(path), "HOME": str(path), "CC": "cc", "CXX": "c++"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def programs(folder: Path, *names: str) -> Path:
    """A folder for PATH that holds only these programs."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def test_a_missing_compiler_is_one_sentence_with_the_mend(fresh: Path, tmp_path: Path) -> None:
    run = bootstrap(fresh, programs(tmp_path / "bin", "git"))
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert "compiler is missing" in run.stderr
    assert "apt-get install build-essential" in run.stderr


def test_everything_that_is_missing_is_said_at_once(fresh: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = bootstrap(fresh, programs(tmp_path / "bin"), "--ports", str(port))
    assert run.returncode == 1
    assert [line.split()[1] for line in run.stderr.splitlines()] == ["git", "A", "Port"]
    assert f"Port {port} on 127.0.0.1 is in use" in run.stderr


def test_an_index_that_lacks_the_pinned_uv_is_named(fresh: Path, tmp_path: Path) -> None:
    # Nothing is installed from an index that can't be reached or that has another file under the name.
    names = ("git", "cc", "c++", "as", "ld")
    path = programs(tmp_path / "bin", *names)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        run = subprocess.run(
            [sys.executable, str(fresh)],
            env={"PATH": str(path), "HOME": str(tmp_path), "UV_DEFAULT_INDEX": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 1
    assert f"{url}/uv/ can't be reached" in run.stderr
    assert not (fresh.parents[1] / ".bawn").exists()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is a matter of x86 processors")
@pytest.mark.parametrize("knows", [True, False])
def test_llama_cpp_is_compiled_without_amx_where_the_compiler_knows_the_flags(
    fresh: Path, tmp_path: Path, knows: bool
) -> None:
    path = programs(tmp_path / "bin", "git", "cc", "c++", "as", "ld", "sh", "env", "mkdir")
    told = tmp_path / "told"
    uv = f'[ "$1" = --version ] && echo uv 9.9.9 && exit\nenv > {told}\nmkdir -p .venv\n'
    old = 'for word; do case $word in -mno-amx-*) exit 1;; esac; done\nexec {} "$@"\n'
    scripts = {"uv": uv} | ({} if knows else {"old-cc": old.format("cc"), "old-c++": old.format("c++")})
    for name, text in scripts.items():
        (path / name).write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        (path / name).chmod(0o755)
    compilers = {} if knows else {"CC": "old-cc", "CXX": "old-c++"}
    run = subprocess.run(
        [sys.executable, str(fresh)],
        env={"PATH": str(path), "HOME": str(path), "CXXFLAGS": "-O1", **compilers},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen = dict(line.partition("=")[::2] for line in told.read_text(encoding="utf-8").splitlines())
    flags = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
    assert (seen.get("CFLAGS"), seen["CXXFLAGS"]) == ((flags, f"-O1 {flags}") if knows else (None, "-O1"))
