"""From lock files to archives, over TLS from a registry that also misbehaves, and from folders."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.indexer.libraries.fetching import PATIENCE, Brought, fetch_libraries
from bawn.indexer.libraries.library import Ecosystem, Library
from bawn.indexer.libraries.registries import (
    PUBLIC,
    PackageRegistry,
    check_registry,
    read_registries,
    use_registry,
)
from bawn.indexer.libraries.shelf import AGAIN_S, Missing, Shelf
from bawn.indexer.lock import writer_lock
from bawn.indexer.registry import Registry, Repository
from support.indexes import git, repository, write
from support.packages import LoopbackRegistry, Misbehave, answer, loopback_registry, sha256, tar_gz, zip_of

SDIST = tar_gz({"httpx-0.28.1/README.md": "# HTTPX\n"})
WHEEL = zip_of({"httpx/__init__.py": "", "httpx-0.28.1.dist-info/METADATA": "Name: httpx\n\n# HTTPX\n"})
TARBALL = tar_gz({"package/README.md": "# Zod\n"})
CRATE = tar_gz({"itoa-1.0.11/README.md": "# itoa\n"})
MODULE = zip_of({"github.com/BurntSushi/toml@v1.4.0/README.md": "# TOML\n"})
FILES = {"httpx-0.28.1.tar.gz": SDIST, "httpx-0.28.1-py3-none-any.whl": WHEEL, "httpx-0.27.0.tar.gz": b"older"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[LoopbackRegistry]:
    with loopback_registry(tmp_path) as served:
        served.add_python("httpx", FILES)
        served.files |= {
            "/npm/@scope/zod/-/zod-3.23.8.tgz": TARBALL,
            "/cargo/itoa/1.0.11/download": CRATE,
            "/go/github.com/!burnt!sushi/toml/@v/v1.4.0.zip": MODULE,
        }
        yield served


@pytest.fixture
def index_dir(tmp_path: Path, served: LoopbackRegistry) -> Path:
    index_dir = tmp_path / "index"
    with writer_lock(index_dir):
        for ecosystem, registry in served.settings().items():
            use_registry(index_dir, ecosystem, registry)
    return index_dir


def requirements(*hashes: str) -> str:
    return "httpx==0.28.1 " + " ".join(f"--hash=sha256:{one}" for one in hashes) + "\n"


def npm(integrity: str = "", resolved: str = "https://registry.npmjs.org/@scope/zod/-/zod-3.23.8.tgz") -> str:
    zod = {"version": "3.23.8", "resolved": resolved, "integrity": integrity}
    packages = {"": {"dependencies": {"@scope/zod": "^3"}}, "node_modules/@scope/zod": zod}
    return json.dumps({"lockfileVersion": 3, "packages": packages})


CARGO = f"""[[package]]
name = "app"
version = "0.1.0"
dependencies = ["itoa"]

[[package]]
name = "itoa"
version = "1.0.11"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{sha256(CRATE)}"
"""
INTEGRITY = f"sha512-{base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()}"
ALL: dict[str, str | bytes] = {
    "requirements.txt": requirements(sha256(SDIST), sha256(WHEEL)),
    "ui/package-lock.json": npm(INTEGRITY),
    "Cargo.lock": CARGO,
    "go.mod": "module example.org/app\n\nrequire github.com/BurntSushi/toml v1.4.0\n",
}
TITLES = ["cargo/itoa@1.0.11", "go/github.com/BurntSushi/toml@v1.4.0", "npm/@scope/zod@3.23.8", "pypi/httpx@0.28.1"]


def add(index_dir: Path, folder: Path, files: dict[str, str | bytes] | None = None, **how: Any) -> Repository:
    if files is not None:
        repository(folder, files)
    with writer_lock(index_dir):
        return Registry(index_dir).add(folder, **{"libraries": "direct", **how})


def fetch(index_dir: Path, *names: str) -> Brought:
    with writer_lock(index_dir):
        return fetch_libraries(index_dir, Registry(index_dir).repositories(), names)


def wanted(index_dir: Path) -> dict[str, Library]:
    return Shelf(index_dir).wanted(Registry(index_dir).repositories())


def here(index_dir: Path) -> dict[str, bytes]:
    shelf = Shelf(index_dir)
    return {title: shelf.archive(one).read_bytes() for title, one in wanted(index_dir).items() if shelf.is_here(one)}


def missing(index_dir: Path) -> dict[str, str]:
    shelf = Shelf(index_dir)
    whys = {title: shelf.why_missing(one) for title, one in wanted(index_dir).items()}
    return {title: why.reason for title, why in whys.items() if why is not None}


def test_each_ecosystem_s_archive_is_fetched_once(index_dir: Path, tmp_path: Path, served: LoopbackRegistry) -> None:
    add(index_dir, tmp_path / "app", ALL)
    assert fetch(index_dir).fetched == 4
    # Of Python the source archive, which has the documentation.
    assert here(index_dir) == dict(zip(TITLES, [CRATE, MODULE, TARBALL, SDIST], strict=True))
    assert sorted(served.paths) == [
        "/cargo/itoa/1.0.11/download",
        "/files/httpx-0.28.1.tar.gz",
        "/go/github.com/!burnt!sushi/toml/@v/v1.4.0.zip",
        "/npm/@scope/zod/-/zod-3.23.8.tgz",
        "/pypi/httpx/",
    ]
    assert fetch(index_dir).fetched == 0
    assert len(served.paths) == 5
    assert not any(place.name.endswith(".new") for place in (index_dir / "packages").iterdir())


def test_projects_share_a_library_until_the_last_one_names_it_no_more(index_dir: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        add(index_dir, tmp_path / name, {"requirements.txt": requirements(sha256(SDIST))})
    assert fetch(index_dir).fetched == 1
    write(tmp_path / "one", {"requirements.txt": ""})
    fetch(index_dir)
    assert list(here(index_dir)) == ["pypi/httpx@0.28.1"]
    with writer_lock(index_dir):
        Registry(index_dir).remove("two")
    fetch(index_dir)
    assert [place.name for place in (index_dir / "packages").iterdir()] == ["libraries.json"]


def test_branches_have_lock_files_of_their_own(index_dir: Path, tmp_path: Path) -> None:
    folder = repository(tmp_path / "app", {"go.mod": "module m\nrequire a.example/x v1.0.0\n"})
    git(folder, "checkout", "-q", "-b", "next")
    write(folder, {"go.mod": "module m\nrequire a.example/x v2.0.0\n"})
    git(folder, "commit", "-qam", "second")
    add(index_dir, folder, branches=["main", "next"])
    fetch(index_dir)
    assert list(wanted(index_dir)) == ["go/a.example/x@v1.0.0", "go/a.example/x@v2.0.0"]
    project = Shelf(index_dir).project("app")
    assert project is not None
    assert project.lock_files == ["main:go.mod", "next:go.mod"]
    git(folder, "branch", "-q", "--move", "next", "other")
    add(index_dir, folder, branches=["main"])
    fetch(index_dir)
    assert list(wanted(index_dir)) == ["go/a.example/x@v1.0.0"]


def test_a_project_below_the_root_has_its_own_lock_files_or_those_above(index_dir: Path, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "go.mod": "module m\nrequire a.example/root v1.0.0\n",
        "api/requirements.txt": "api==1.0\n",
        "api/old/requirements.txt": "old==1.0\n",
        "api/ignored/requirements.txt": "ignored==1.0\n",
        ".bawnignore": "ignored/\n",
        "web/x.py": "",
    }
    mono = repository(tmp_path / "mono", files)
    for project, how in (("api", {"exclude": ["api/old"], "include": ["*.py"]}), ("web", {})):
        add(index_dir, mono, name=project, project=project, **how)
    add(index_dir, mono, name="none", libraries=None)
    fetch(index_dir)
    shelf = Shelf(index_dir)
    named = {name: project.libraries for name in ("api", "web") if (project := shelf.project(name)) is not None}
    assert {name: [one.title for one in libraries] for name, libraries in named.items()} == {
        "api": ["pypi/api@1.0"],
        "web": ["go/a.example/root@v1.0.0"],
    }
    assert shelf.project("none") is None


def test_a_lock_file_that_can_not_be_read_is_told_and_the_others_count(index_dir: Path, tmp_path: Path) -> None:
    add(index_dir, tmp_path / "app", {"uv.lock": "[[", "requirements.txt": "a==1.0\n", "go.mod": "x" * (9 << 20)})
    fetch(index_dir)
    project = Shelf(index_dir).project("app")
    assert project is not None
    assert [one.title for one in project.libraries] == ["pypi/a@1.0"]
    assert project.unread["go.mod"] == "is larger than 8 MiB"
    assert "is damaged: " in project.unread["uv.lock"]


def test_a_repository_that_is_gone_keeps_what_it_named(index_dir: Path, tmp_path: Path) -> None:
    add(index_dir, tmp_path / "app", ALL)
    fetch(index_dir)
    (tmp_path / "app").rename(tmp_path / "away")
    brought = fetch(index_dir)
    assert "app" in brought.unread
    assert list(here(index_dir)) == TITLES


def test_a_page_of_the_older_form_will_do(index_dir: Path, tmp_path: Path, served: LoopbackRegistry) -> None:
    served.add_python("httpx", FILES, html=True)
    add(index_dir, tmp_path / "app", {"requirements.txt": requirements(sha256(WHEEL))})
    fetch(index_dir)
    assert list(here(index_dir).values()) == [WHEEL]


def test_without_a_hash_the_version_decides(index_dir: Path, tmp_path: Path) -> None:
    add(index_dir, tmp_path / "app", {"requirements.txt": "HTTPX==0.28.1\n"})
    fetch(index_dir)
    assert list(here(index_dir).values()) == [SDIST]


def _cut(handler: BaseHTTPRequestHandler, content: bytes) -> bool:
    answer(handler, 200, content[:10], content_length=str(len(content)))
    handler.close_connection = True
    return True


def _endless(handler: BaseHTTPRequestHandler, content: bytes) -> bool:
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    for _ in range(200):
        handler.wfile.write(bytes(1 << 20))
    return True


def _packed(handler: BaseHTTPRequestHandler, content: bytes) -> bool:
    answer(handler, 200, content, content_encoding="gzip")
    return True


def _status(status: int, **headers: str) -> Misbehave:
    def misbehave(handler: BaseHTTPRequestHandler, content: bytes) -> bool:
        answer(handler, status, b"", **headers)
        return True

    return misbehave


ZOD = "/npm/@scope/zod/-/zod-3.23.8.tgz"


@pytest.mark.parametrize(
    ("misbehave", "reason", "is_final"),
    [
        (_status(404), "answers 404", True),
        (_status(403), "answers 403", True),
        (_status(401), "answers 401; --token-file", False),
        (_status(429), "answers 429", False),
        (_status(503), "answers 503", False),
        (_status(200, content_length="99999999999"), "larger than 64 MB", True),
        (_endless, "larger than 64 MB", True),
        (_cut, "can't be reached", False),
        (_packed, "was asked not to", True),
        (_status(302, location="https://169.254.169.254/latest"), "https://169.254.169.254, which is none of", True),
        (_status(302, location="http://localhost/x.tgz"), "http://localhost, which is none of", True),
        (_status(302, location="file:///etc/passwd"), "leads to file://", True),
        (_status(302, location=ZOD), "leads on and on", True),
    ],
)
def test_what_does_not_come_is_told_and_asked_again_when_that_may_help(
    misbehave: Misbehave, reason: str, is_final: bool, index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    add(index_dir, tmp_path / "app", {"package-lock.json": npm(INTEGRITY)})
    served.misbehave[ZOD] = misbehave
    brought = fetch(index_dir)
    assert here(index_dir) == {}
    assert reason in missing(index_dir)["npm/@scope/zod@3.23.8"]
    assert bool(brought.unreachable) is not is_final
    assert [place.name for place in (index_dir / "packages").iterdir()] == ["libraries.json"]
    del served.misbehave[ZOD]
    fetch(index_dir)
    assert bool(here(index_dir)) is not is_final


def test_what_the_registry_has_not_is_asked_again_a_day_later(
    index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    add(index_dir, tmp_path / "app", {"package-lock.json": npm(INTEGRITY)})
    served.misbehave[ZOD] = _status(404)
    fetch(index_dir)
    fetch(index_dir)
    assert served.paths == [ZOD]
    file = index_dir / "packages" / "libraries.json"
    state = json.loads(file.read_bytes())
    state["missing"]["npm/@scope/zod@3.23.8"] = msgspec.to_builtins(Missing("x", time.time() - AGAIN_S - 1))
    file.write_text(json.dumps(state), encoding="utf-8")
    del served.misbehave[ZOD]
    assert fetch(index_dir).fetched == 1


@pytest.mark.parametrize(
    ("path", "lock"),
    [
        ("/files/httpx-0.28.1.tar.gz", "requirements.txt"),
        (ZOD, "ui/package-lock.json"),
        ("/cargo/itoa/1.0.11/download", "Cargo.lock"),
    ],
)
def test_another_archive_than_the_lock_file_means_is_not_taken(
    path: str, lock: str, index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    served.files[path] = tar_gz({"p/README.md": "# evil\n"})
    add(index_dir, tmp_path / "app", {lock: ALL[lock]})
    assert fetch(index_dir).fetched == 0
    (reason,) = missing(index_dir).values()
    assert "its hash is another" in reason
    assert not list((index_dir / "packages").glob("*.archive"))


def test_a_list_that_has_other_hashes_than_the_lock_file_gives_nothing(index_dir: Path, tmp_path: Path) -> None:
    add(index_dir, tmp_path / "app", {"requirements.txt": requirements("0" * 64)})
    fetch(index_dir)
    assert "lists no archive of 0.28.1" in missing(index_dir)["pypi/httpx@0.28.1"]


def test_when_a_lock_file_means_another_archive_than_was_fetched_it_is_fetched(index_dir: Path, tmp_path: Path) -> None:
    add(index_dir, tmp_path / "app", {"requirements.txt": requirements(sha256(SDIST))})
    fetch(index_dir)
    write(tmp_path / "app", {"requirements.txt": requirements(sha256(WHEEL))})
    assert fetch(index_dir).fetched == 1
    assert list(here(index_dir).values()) == [WHEEL]


def test_a_registry_that_can_not_be_reached_is_left_alone_after_some_tries(
    index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    names = [f"p{number}" for number in range(PATIENCE + 4)]
    for name in names:
        served.misbehave[f"/pypi/{name}/"] = _status(502)
    lock = "".join(f"{name}==1.0\n" for name in names)
    add(index_dir, tmp_path / "app", {"requirements.txt": lock, "package-lock.json": npm(INTEGRITY)})
    brought = fetch(index_dir)
    assert brought.unreachable == {"pypi": "localhost answers 502"}
    assert sum(path.startswith("/pypi/") for path in served.paths) == PATIENCE
    # The other registries are asked all the same.
    assert list(here(index_dir)) == ["npm/@scope/zod@3.23.8"]


def test_after_the_time_that_it_may_take_nothing_more_is_asked_for(
    index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    add(index_dir, tmp_path / "app", ALL)
    with writer_lock(index_dir):
        repositories = Registry(index_dir).repositories()
        assert fetch_libraries(index_dir, repositories, within_s=0).fetched == 0
    assert served.paths == []
    assert list(wanted(index_dir)) == TITLES
    assert fetch(index_dir).fetched == 4


def use(index_dir: Path, ecosystem: Ecosystem, registry: PackageRegistry) -> None:
    with writer_lock(index_dir):
        use_registry(index_dir, ecosystem, registry)


def test_names_of_private_libraries_are_not_told_to_another_registry(
    index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    use(index_dir, "go", served.of("go", private=["git.example.org/*"]))
    files: dict[str, str | bytes] = {
        "package-lock.json": npm(resolved="https://npm.team.example/@scope/zod/-/zod-3.23.8.tgz"),
        "go.mod": "module m\nrequire git.example.org/team/secret-lib v1.0.0\n",
        "requirements.txt": "--extra-index-url https://pypi.team.example/simple\nsecret-client==1.0\n",
    }
    add(index_dir, tmp_path / "app", files)
    brought = fetch(index_dir)
    assert served.paths == []
    assert not brought.unreachable
    reasons = missing(index_dir)
    assert "from npm.team.example, which `bawn index registry npm PLACE`" in reasons["npm/@scope/zod@3.23.8"]
    assert reasons["go/git.example.org/team/secret-lib@v1.0.0"] == "its name is private"
    assert "pypi.team.example" in reasons["pypi/secret-client@1.0"]
    use(index_dir, "npm", PackageRegistry(place="none"))
    fetch(index_dir)
    assert "no registry is asked" in missing(index_dir)["npm/@scope/zod@3.23.8"]


def test_the_registry_that_a_lock_file_names_is_asked_where_it_is_ours(
    index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    add(index_dir, tmp_path / "app", {"package-lock.json": npm(INTEGRITY, f"{served.base}/npm{ZOD[4:]}")})
    assert fetch(index_dir).fetched == 1


def test_a_token_goes_to_its_registry_alone(index_dir: Path, tmp_path: Path, served: LoopbackRegistry) -> None:
    token = tmp_path / "token"
    for secret, header in (("npm_secret", "Bearer npm_secret"), ("ada:secret", "Basic YWRhOnNlY3JldA==")):
        token.write_text(secret, encoding="utf-8")
        use(index_dir, "npm", served.of("npm", token_file=str(token), file_hosts=["127.0.0.1"]))
        port = served.base.rpartition(":")[2]
        served.files["/elsewhere.tgz"] = TARBALL
        served.misbehave[ZOD] = _status(302, location=f"https://127.0.0.1:{port}/elsewhere.tgz")
        add(index_dir, tmp_path / secret[:3], {"package-lock.json": npm(INTEGRITY)})
        assert fetch(index_dir).fetched == 1
        assert served.asked == [(ZOD, header), ("/elsewhere.tgz", "")]
        served.asked.clear()
        with writer_lock(index_dir):
            Registry(index_dir).remove(secret[:3])
        fetch(index_dir)


def test_a_registry_without_a_trusted_certificate_is_not_asked(
    index_dir: Path, tmp_path: Path, served: LoopbackRegistry
) -> None:
    use(index_dir, "npm", PackageRegistry(place=served.place("npm")))
    add(index_dir, tmp_path / "app", {"package-lock.json": npm(INTEGRITY)})
    assert "certificate is not trusted" in fetch(index_dir).unreachable["npm"]
    assert served.paths == []


def test_folders_of_archives_need_no_network(index_dir: Path, tmp_path: Path, served: LoopbackRegistry) -> None:
    carried = tmp_path / "carried"
    write(
        carried,
        {
            "wheels/httpx-0.28.1-py3-none-any.whl": WHEEL,
            "httpx-0.28.1.tar.gz": b"damaged",
            "scope-zod-3.23.8.tgz": TARBALL,
            "index.crates.io-1949cf8c6b5b557f/itoa-1.0.11.crate": CRATE,
            "github.com/!burnt!sushi/toml/@v/v1.4.0.zip": MODULE,
        },
    )
    for ecosystem in read_registries(index_dir):
        use(index_dir, ecosystem, PackageRegistry(place=str(carried)))
    add(index_dir, tmp_path / "app", ALL)
    assert fetch(index_dir).fetched == 4
    assert here(index_dir) == dict(zip(TITLES, [CRATE, MODULE, TARBALL, WHEEL], strict=True))
    assert served.paths == []
    write(tmp_path / "app", {"requirements.txt": requirements("0" * 64) + "nonsuch==1.0\n"})
    fetch(index_dir)
    reasons = missing(index_dir)
    assert "is not what the lock file means" in reasons["pypi/httpx@0.28.1"]
    assert "has no archive of it" in reasons["pypi/nonsuch@1.0"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"place": "http://pypi.example/simple"}, "no https://"),
        ({"place": "ftp://pypi.example"}, "no https://"),
        ({"place": "wheels"}, "no absolute path"),
        ({"place": "https://ada:secret@pypi.example/simple"}, "put it into a file"),
        ({"place": "https://pypi.example/simple?token=x"}, "no https://"),
        ({"place": "/srv/wheels", "token_file": "/t"}, "for which alone"),
    ],
)
def test_a_registry_that_can_not_be_or_should_not_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as told:
        check_registry(PackageRegistry(**settings), origin="pypi")
    assert "secret" not in str(told.value).replace("has a secret in it", "")


def test_without_settings_the_public_registries_are_asked(tmp_path: Path) -> None:
    assert {name: one.place for name, one in read_registries(tmp_path).items()} == PUBLIC
    assert read_registries(tmp_path)["pypi"].hosts == {"pypi.org", "files.pythonhosted.org"}
    use(tmp_path, "npm", PackageRegistry(place="none"))
    use(tmp_path, "npm", PackageRegistry(place=PUBLIC["npm"]))
    assert json.loads((tmp_path / "registries.json").read_bytes()) == {"registries": {}}
    (tmp_path / "registries.json").write_text('{"registries": {"cpan": {"place": "none"}}}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"registries\.json"):
        read_registries(tmp_path)
