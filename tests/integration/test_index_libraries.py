"""The libraries of a small project: from its lock file over a registry on loopback to what an assistant finds."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from bawn.search.tools import IndexSearch
from support.gateway import running_gateway
from support.indexes import git, repository, write
from support.packages import LoopbackRegistry, loopback_registry, sha256, tar_gz, zip_of

BAWN = [sys.executable, "-c", "from bawn.cli import main; main()"]
TIMEOUTS = """Timeouts
========

A connection that stays silent for longer than ``grace_period`` seconds is handed back to the pool.
"""
TOKEN = "ghp_" + "aZ9xQ8wV7uT6sR5qP4oN3mL2kJ1iH0gF9eD8"
POOLTIDE = tar_gz(
    {
        "pooltide-2.1.0/README.rst": "Pooltide\n========\n\nConnection pools.\n",
        "pooltide-2.1.0/docs/timeouts.rst": TIMEOUTS,
        "pooltide-2.1.0/docs/conf.py": "project = 'pooltide'\n",
        "pooltide-2.1.0/docs/setup.md": f"# Setup\n\nExample: `{TOKEN}`\n",
        "pooltide-2.1.0/src/pooltide/__init__.py": "def drain_basin(): ...\n",
    }
)
SILTSTONE = zip_of({"siltstone/__init__.py": "x = 1\n", "siltstone-0.3-py3-none-any.data": "\0"})


def uv_lock(**libraries: tuple[str, str, bytes]) -> str:
    """A lock file of a project that needs `libraries`: name → version, file name and archive."""
    lock = ['version = 1\n\n[[package]]\nname = "app"\nversion = "0.1"\nsource = { virtual = "." }\ndependencies = [']
    lock += [f'    {{ name = "{name}" }},' for name in libraries]
    lock.append("]\n")
    for name, (version, file, archive) in libraries.items():
        lock.append(
            f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
            'source = { registry = "https://pypi.org/simple" }\n'
            f'sdist = {{ url = "https://files.pythonhosted.org/{file}", hash = "sha256:{sha256(archive)}" }}\n'
        )
    return "\n".join(lock)


LOCK = uv_lock(
    pooltide=("2.1.0", "pooltide-2.1.0.tar.gz", POOLTIDE),
    siltstone=("0.3", "siltstone-0.3-py3-none-any.whl", SILTSTONE),
    nonsuch=("1.0", "nonsuch-1.0.tar.gz", b""),
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[LoopbackRegistry]:
    with loopback_registry(tmp_path) as served:
        served.add_python("pooltide", {"pooltide-2.1.0.tar.gz": POOLTIDE})
        served.add_python("siltstone", {"siltstone-0.3-py3-none-any.whl": SILTSTONE})
        yield served


class Bawn:
    """`bawn index` over an index directory."""

    def __init__(self, index: Path) -> None:
        self.index = index

    def __call__(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [*BAWN, *map(str, arguments), "--index", str(self.index)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture
def bawn(tmp_path: Path, served: LoopbackRegistry) -> Bawn:
    bawn = Bawn(tmp_path / "index")
    told = bawn("index", "registry", "pypi", served.place("pypi"), "--ca-file", served.ca_file).stdout
    assert told == f"pypi: {served.place('pypi')}\n"
    return bawn


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return repository(tmp_path / "app", {"uv.lock": LOCK, "app.py": "import pooltide\n"})


def test_a_paragraph_of_a_library_is_found_and_goes_with_its_last_lock_file(
    bawn: Bawn, app: Path, served: LoopbackRegistry
) -> None:
    bawn("index", "add", app, "--libraries", "direct")
    fetched = bawn("index", "fetch").stdout
    assert fetched == (
        "app: 3 libraries named by uv.lock: 2 fetched, 1 missing (bawn index report app)\nlibraries: 2 fetched\n"
    )
    asked = len(served.asked)
    told = bawn("index", "run", "--no-fetch").stdout
    assert "2 libraries: 3 files indexed" in told
    assert "1 github-token" in told
    assert len(served.asked) == asked

    search = IndexSearch(bawn.index, "libraries")
    assert search.repos() == ["pypi/pooltide@2.1.0"]
    best = search.search("silent connection handed back to the pool").chunks[0]
    assert (best.repo, best.path, best.start_line) == ("pypi/pooltide@2.1.0", "docs/timeouts.rst", 1)
    assert "grace_period" in search.read_file("pypi/pooltide@2.1.0", "docs/timeouts.rst").text
    assert TOKEN not in search.read_file("pypi/pooltide@2.1.0", "docs/setup.md").text
    assert not search.search("drain_basin").chunks
    shown = bawn("search", "--in", "libraries", "--repo", "pooltide", "grace period").stdout
    assert shown.startswith("pypi/pooltide@2.1.0 docs/timeouts.rst:1")

    state = json.loads(bawn("index", "status", "--json").stdout)["repositories"]
    assert [(row["name"], row["libraries"], row["documented"]) for row in state] == [("app", 3, 1)]
    assert "app: 2 files" not in told
    assert "2 libraries: 0 files indexed (0 chunks, 0.00 MB), 3 unchanged" in bawn("index", "run").stdout

    write(app, {"uv.lock": uv_lock(siltstone=("0.3", "siltstone-0.3-py3-none-any.whl", SILTSTONE))})
    assert "1 library named by uv.lock: 1 without documentation" in bawn("index", "run").stdout
    assert search.repos() == []
    assert not list(bawn.index.rglob("*pooltide*"))


def test_the_report_says_which_libraries_are_missing_and_why(bawn: Bawn, app: Path) -> None:
    bawn("index", "add", app, "--libraries", "direct")
    bawn("index", "run")
    told = bawn("index", "report").stdout
    assert "app: 3 libraries named by uv.lock: 1 with documentation, 1 without documentation, 1 missing" in told
    assert "  missing: 1, localhost answers 404\n    pypi/nonsuch@1.0\n" in told
    assert "  without documentation: 1\n    pypi/siltstone@0.3\n" in told
    assert "pypi/pooltide@2.1.0: 1 file masked in part, 0 left out" in told
    # Of a library of which there is nothing to say nothing is said.
    assert "pypi/siltstone@0.3:" not in told
    (state,) = json.loads(bawn("index", "report", "app", "--json").stdout)["libraries"]
    assert state["repo"] == "app"
    assert state["state"]["missing"] == [{"library": "pypi/nonsuch@1.0", "reason": "localhost answers 404"}]


def test_a_registry_that_does_not_answer_fails_the_fetch_and_not_the_index(
    bawn: Bawn, app: Path, tmp_path: Path
) -> None:
    bawn("index", "add", app, "--libraries", "direct")
    bawn("index", "registry", "pypi", "https://localhost:1/simple")
    done = bawn("index", "run", check=False)
    assert done.returncode == 1
    assert "libraries: pypi: localhost: can't be reached" in done.stderr
    assert "app: 1 files indexed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["index", "registry", "pypi", "http://pypi.example"], "no https:// address"),
        (["index", "registry", "pypi", "nowhere"], "is no folder, no https:// address"),
        (["index", "registry", "cpan", "none"], "'cpan'"),
        (["index", "registry", "pypi", "--private", "x"], "name PLACE"),
        (["index", "add", ".", "--libraries", "some"], "'some'"),
    ],
)
def test_what_can_not_work_is_refused(bawn: Bawn, arguments: list[str], reason: str) -> None:
    done = bawn(*arguments, check=False)
    assert done.returncode == 2
    assert reason in done.stderr


def test_an_archive_that_can_not_be_read_is_told_once_and_fails_nothing(
    bawn: Bawn, served: LoopbackRegistry, tmp_path: Path
) -> None:
    served.add_python("evil", {"evil-1.tar.gz": tar_gz({"../../../etc/README.md": "x"})})
    app = repository(tmp_path / "app", {"requirements.txt": "evil==1\n"})
    bawn("index", "add", app, "--libraries", "direct")
    done = bawn("index", "run")
    assert "pypi/evil@1: its archive has a path that leads out of it" in done.stderr
    again = bawn("index", "run")
    assert again.stderr == ""
    assert served.paths.count("/files/evil-1.tar.gz") == 1
    assert "1, its archive has a path" in bawn("index", "report", "app").stdout


def test_the_branch_of_a_bare_repository_has_its_libraries_too(
    bawn: Bawn, app: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    bare = tmp_path / "app.git"
    git(tmp_path, "clone", "-q", "--bare", str(app), str(bare))
    bawn("index", "add", bare, "--name", "app", "--branch", "main", "--libraries", "direct")
    bawn("index", "run")
    assert IndexSearch(bawn.index, "libraries").repos() == ["pypi/pooltide@2.1.0"]
    asked = len(served.asked)
    bawn("index", "run", "app")
    assert len(served.asked) == asked
    bawn("index", "add", bare, "--name", "app", "--branch", "main")
    bawn("index", "run")
    assert IndexSearch(bawn.index, "libraries").repos() == []


async def test_an_assistant_searches_them_by_a_tool_of_their_own(bawn: Bawn, app: Path) -> None:
    bawn("index", "add", app, "--libraries", "direct")
    bawn("index", "run")
    async with running_gateway("http://127.0.0.1:1", index_dir=str(bawn.index)) as gateway:
        headers = {"authorization": f"Bearer {gateway.key}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as http:
            async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
                asked = {"query": "what happens to a silent connection", "repo": "pooltide"}
                found = await client.call_tool("search_libraries", asked)
                assert not found.is_error
                assert "pypi/pooltide@2.1.0 docs/timeouts.rst:1" in found.content[0].text
                chunk = found.structured_content["chunks"][0]
                wanted = {"repo": chunk["repo"], "path": chunk["path"]}
                read = await client.call_tool("read_file", wanted)
                assert "handed back to the pool" in read.content[0].text
                listed = await client.call_tool("list_indexes", {})
                assert ")\n  pypi/pooltide@2.1.0\n" in listed.content[0].text
