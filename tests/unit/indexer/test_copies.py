"""Repositories that are elsewhere, from a server over their copies into the index; projects and globs of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import Index
from bawn.indexer.copies import branches_of, delete_unused, fetch_all
from bawn.indexer.libraries.projects import MOST_LIBRARIES, read_project
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry, Repository
from bawn.indexer.remote import Remote
from bawn.indexer.run import run_index
from bawn.search.tools import IndexSearch
from support.forges import Forge, https_forge
from support.indexes import git, repository, write

FILES: dict[str, str | bytes] = {
    "services/api/serve.py": "def serve_requests(): ...\n",
    "services/web/render.ts": "export function renderPage() { return 1 }\n",
    "tools/lint.py": "def lint_everything(): ...\n",
}


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    repository(tmp_path / "served" / "mono", FILES)
    with https_forge(tmp_path, tmp_path / "served") as forge:
        yield forge


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return tmp_path / "served" / "mono"


def _add(index_dir: Path, remote: Remote, name: str, **how: Any) -> Repository:
    with writer_lock(index_dir):
        return Registry(index_dir).add_remote(remote, name, **how)


def _updated(index_dir: Path) -> list[str]:
    """Fetch and index all; what went wrong."""
    repositories = Registry(index_dir).repositories()
    errors = [one.error for one in fetch_all(repositories) if one.error]
    delete_unused(index_dir, repositories)
    return [*errors, *(one.error for one in run_index(index_dir) if one.error)]


def _paths(index_dir: Path, index: Index = "code") -> dict[str, list[str]]:
    backend = IndexSearch(index_dir, index)
    return {repo: [line.path for line in backend.grep("^", repo).lines] for repo in backend.repos()}


def test_projects_of_one_repository_are_scopes_of_their_own_and_share_its_copy(forge: Forge, index_dir: Path) -> None:
    for project in ("api", "web"):
        _add(index_dir, forge.remote("mono"), project, project=f"services/{project}")
    _add(index_dir, forge.remote("mono"), "scripts", exclude=["services"])
    assert _updated(index_dir) == []
    assert _paths(index_dir) == {
        "api": ["services/api/serve.py"],
        "web": ["services/web/render.ts"],
        "scripts": ["tools/lint.py"],
    }
    assert len(list((index_dir / "copies").iterdir())) == 1


def test_a_lock_file_may_be_larger_than_what_is_indexed(forge: Forge, index_dir: Path, origin: Path) -> None:
    pins = "".join(f"package-{number}==1.0 --hash=sha256:{number:064}\n" for number in range(15_000))
    assert 1 << 20 < len(pins) < 2 << 20
    write(origin, {"requirements.txt": pins})
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "second")
    plain = _add(index_dir, forge.remote("mono"), "mono")
    assert _updated(index_dir) == []
    with_libraries = msgspec.structs.replace(plain, libraries="direct")
    assert "was not fetched yet" in read_project(with_libraries).unread["requirements.txt"]
    _add(index_dir, forge.remote("mono"), "mono", libraries="direct")
    assert _updated(index_dir) == []
    project = read_project(with_libraries)
    assert (len(project.libraries), project.left_out) == (MOST_LIBRARIES, 15_000 - MOST_LIBRARIES)
    # Of a commit that was read nothing is read again.
    assert read_project(with_libraries, project) is project
    git(origin, "rm", "-q", "requirements.txt")
    git(origin, "commit", "-qm", "third")
    assert _updated(index_dir) == []
    assert read_project(with_libraries, project).libraries == []


def test_globs_say_what_is_indexed_and_a_change_of_them_counts(forge: Forge, index_dir: Path) -> None:
    _add(index_dir, forge.remote("mono"), "mono", include=["*.py"], exclude=["tools"])
    assert _updated(index_dir) == []
    assert _paths(index_dir) == {"mono": ["services/api/serve.py"]}
    _add(index_dir, forge.remote("mono"), "mono", include=["*.ts"])
    assert _updated(index_dir) == []
    assert _paths(index_dir) == {"mono": ["services/web/render.ts"]}


def test_each_branch_of_a_pattern_is_a_repository_in_searches_and_goes_with_its_branch(
    forge: Forge, index_dir: Path, origin: Path
) -> None:
    git(origin, "branch", "release/1")
    _add(index_dir, forge.remote("mono"), "mono", branches=["main", "release/*"])
    assert _updated(index_dir) == []
    assert set(_paths(index_dir)) == {"mono/main", "mono/release-1"}
    git(origin, "branch", "-D", "release/1")
    assert _updated(index_dir) == []
    assert set(_paths(index_dir)) == {"mono/main"}


def test_a_repository_goes_into_the_index_that_it_is_for(forge: Forge, index_dir: Path) -> None:
    _add(index_dir, forge.remote("mono"), "mono")
    _add(index_dir, forge.remote("mono"), "handbook", index="docs", project="tools")
    assert _updated(index_dir) == []
    assert set(_paths(index_dir)) == {"mono"}
    assert set(_paths(index_dir, "docs")) == {"handbook"}
    with writer_lock(index_dir):
        Registry(index_dir).remove("handbook")
    assert _updated(index_dir) == []
    assert _paths(index_dir, "docs") == {}


def test_when_the_server_is_gone_the_index_keeps_what_it_has_and_the_reason_is_told(
    forge: Forge, index_dir: Path, origin: Path
) -> None:
    _add(index_dir, forge.remote("mono"), "mono")
    assert _updated(index_dir) == []
    origin.rename(origin.with_name("moved"))
    (error,) = _updated(index_dir)
    assert forge.base in error
    assert "mono" in _paths(index_dir)


def test_before_the_first_fetch_a_run_says_what_to_do_and_takes_nothing_out(forge: Forge, index_dir: Path) -> None:
    added = _add(index_dir, forge.remote("mono"), "mono")
    with pytest.raises(SettingsError, match="`bawn index fetch`"):
        branches_of(added)
    (outcome,) = run_index(index_dir)
    assert "was not fetched yet" in (outcome.error or "")


def test_the_copy_of_a_repository_that_was_removed_is_deleted(forge: Forge, index_dir: Path) -> None:
    _add(index_dir, forge.remote("mono"), "mono")
    _updated(index_dir)
    with writer_lock(index_dir):
        Registry(index_dir).remove("mono")
    delete_unused(index_dir, Registry(index_dir).repositories())
    assert list((index_dir / "copies").iterdir()) == []


def test_a_glob_that_leaves_the_repository_is_refused_when_it_is_registered(forge: Forge, index_dir: Path) -> None:
    for how in ({"project": "../x"}, {"include": ["/etc"]}, {"exclude": ["a/../b"]}):
        with pytest.raises(SettingsError, match=next(iter(how))):
            _add(index_dir, forge.remote("mono"), "mono", **how)


def test_a_folder_of_files_is_taken_by_globs_too(tmp_path: Path, index_dir: Path) -> None:
    write(tmp_path / "plain", FILES)
    with writer_lock(index_dir):
        Registry(index_dir).add(tmp_path / "plain", exclude=["*.ts"])
    run_index(index_dir)
    assert _paths(index_dir) == {"plain": ["services/api/serve.py", "tools/lint.py"]}
