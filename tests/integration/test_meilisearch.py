"""The index in a real Meilisearch: keys that reach nothing else, runs that die, servers that are away, rollback."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from bawn.contracts.errors import SettingsError, Unavailable
from bawn.indexer.run import run_index
from bawn.search.backend import Scope
from bawn.search.meilisearch import publishing
from bawn.search.meilisearch.keys import scoped_keys
from bawn.search.meilisearch.publishing import MeilisearchPublisher, roll_back, standby
from bawn.search.meilisearch.server import Server, TaskFailed, connect
from bawn.search.meilisearch.stored import settings
from support.gateway import running_gateway
from support.indexes import index, register, write
from support.meilisearch import MASTER_KEY, Meilisearch, as_packaged, running
from support.stores import Store, chunk, embedded, of_meilisearch
from support.until import until

BAWN = [sys.executable, "-c", "from bawn.cli import main; main()"]
EVERYWHERE = Scope()
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meilisearch]:
    with running(tmp_path_factory.mktemp("meilisearch")) as server:
        yield server


_numbers = count()


@pytest.fixture
def name() -> str:
    return f"code-{next(_numbers)}"


@pytest.fixture
def store(server: Meilisearch, tmp_path: Path, name: str) -> Store:
    return of_meilisearch(server, tmp_path, name)


def bawn(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    argv = [*BAWN, *map(str, arguments)]
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=60)


def _key(name: str, purpose: str) -> str:
    return next(key.text(MASTER_KEY) for key in scoped_keys(name) if key.purpose == purpose)


def _server(server: Meilisearch, key: str) -> Server:
    return Server(connect(server.url, key))


def _publisher(server: Meilisearch, name: str, scratch: Path) -> MeilisearchPublisher:
    return MeilisearchPublisher(_server(server, _key(name, "indexer")), name, scratch)


def _documents(store: Store) -> list[tuple[str, str, int, str]]:
    """All that an index has, repeats too."""
    reader = store.reader()
    return sorted((d.repo, d.path, d.start_line, d.text) for d in reader.documents(reader.files(EVERYWHERE)))


def test_the_search_key_reaches_its_index_alone_and_may_only_read(server: Meilisearch, store: Store, name: str) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    server.ask("POST", "/indexes", body={"uid": f"{name}-other"})
    key = _key(name, "search")
    own = f"/indexes/{name}"
    assert server.ask("POST", f"{own}/search", key, {"q": "word"}).status_code == 200
    for method, path, body in (
        ("POST", f"/indexes/{name}-other/search", {"q": ""}),
        ("POST", f"/indexes/{standby(name)}/search", {"q": ""}),
        ("POST", "/multi-search", {"queries": [{"indexUid": name}, {"indexUid": f"{name}-other"}]}),
        ("POST", f"{own}/documents", [{"id": "x"}]),
        ("DELETE", f"{own}/documents", None),
        ("POST", f"/indexes/{name}-other/documents/fetch", {}),
        ("GET", f"{own}/settings", None),
        ("PATCH", f"{own}/settings", {"stopWords": ["word"]}),
        ("DELETE", own, None),
        ("GET", "/indexes", None),
        ("GET", "/tasks", None),
        ("GET", "/keys", None),
        ("GET", "/stats", None),
        ("POST", "/dumps", None),
    ):
        assert server.ask(method, path, key, body).status_code in (401, 403), (method, path)
    assert _documents(store) == [("demo", "a.py", 1, "word")]


def test_the_indexers_key_reaches_no_other_index(server: Meilisearch, store: Store, name: str) -> None:
    other = f"{name}-other"
    server.ask("POST", "/indexes", body={"uid": other})
    key = _key(name, "indexer")
    for method, path, body in (
        ("POST", f"/indexes/{other}/search", {"q": ""}),
        ("POST", f"/indexes/{other}/documents", [{"id": "x"}]),
        ("DELETE", f"/indexes/{other}", None),
        ("POST", "/indexes", {"uid": "mine"}),
        ("POST", "/swap-indexes", [{"indexes": [name, other]}]),
        ("GET", "/keys", None),
        ("POST", "/dumps", None),
    ):
        assert server.ask(method, path, key, body).status_code in (401, 403), (method, path)


def test_no_key_and_no_master_key_is_in_what_is_said_of_a_refusal(server: Meilisearch, name: str) -> None:
    with pytest.raises(Unavailable, match="refuses the key") as refused:
        _server(server, "CANARY-key").search(name, [{"q": "CANARY-query"}])
    assert "CANARY" not in str(refused.value)


def test_the_command_makes_the_same_keys_again_and_nobody_else_can_read_them(
    server: Meilisearch, tmp_path: Path, name: str
) -> None:
    written = []
    for folder in ("first", "second"):
        into = tmp_path / folder
        bawn("index", "meilisearch", "keys", "--url", server.url, "--master-key-file", server.master_key_file,
             "--into", into, "--name", name)  # fmt: skip
        files = sorted(into.iterdir())
        assert [file.name for file in files] == [f"{name}-indexer.key", f"{name}-search.key"]
        assert all(file.stat().st_mode & 0o077 == 0 for file in files)
        written.append([file.read_text().strip() for file in files])
    assert written[0] == written[1] == [_key(name, "indexer"), _key(name, "search")]
    assert server.ask("GET", f"/indexes/{name}", written[0][0]).status_code == 404, "it is known, and there is nothing"


def test_the_keys_of_several_indexes_are_made_at_once_for_a_server_that_is_started_meanwhile(
    server: Meilisearch, tmp_path: Path, name: str
) -> None:
    server.stop()
    command = [*BAWN, "index", "meilisearch", "keys", "--url", server.url, "--within", "30",
               "--master-key-file", server.master_key_file, "--into", tmp_path / "keys",
               "--name", name, "--name", f"{name}-docs"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as making:
        assert making.stdout is not None
        written = [making.stdout.readline().strip() for _ in range(4)]
        assert making.poll() is None, "it waits for the server"
        server.start()
        assert making.wait(timeout=30) == 0
    assert [Path(file).read_text().strip() for file in written] == [
        _key(index, purpose) for index in (name, f"{name}-docs") for purpose in ("indexer", "search")
    ]
    for file in written:
        assert server.ask("GET", f"/indexes/{name}", Path(file).read_text().strip()).status_code in (403, 404)
    assert server.ask("GET", f"/indexes/{name}", Path(written[0]).read_text().strip()).status_code == 404


def test_keys_are_written_before_a_server_that_is_away_is_told_of_them(tmp_path: Path) -> None:
    write(tmp_path, {"master-key": MASTER_KEY})
    made = bawn("index", "meilisearch", "keys", "--url", NOBODY, "--master-key-file", tmp_path / "master-key",
                "--into", tmp_path / "keys", "--within", "0.2", check=False)  # fmt: skip
    assert (made.returncode, made.stderr.count("\n")) == (2, 1)
    assert f"Meilisearch can't be reached at {NOBODY}" in made.stderr
    assert (tmp_path / "keys" / "code-search.key").read_text().strip() == _key("code", "search")


def test_indexed_searched_rebuilt_and_rolled_back_from_the_command_line(
    server: Meilisearch, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "index"
    at = ("--index", place)
    write(tmp_path / "demo", {"src/store.py": "class Store:\n    def save_item(self): ...\n", "README.md": "# Store\n"})
    bawn("index", "meilisearch", "keys", "--url", server.url, "--master-key-file", server.master_key_file,
         "--into", tmp_path, "--name", name)  # fmt: skip
    bawn("index", "meilisearch", "use", "--url", server.url, "--key-file", tmp_path / f"{name}-indexer.key",
         "--name", name, *at)  # fmt: skip
    bawn("index", "add", tmp_path / "demo", *at)
    assert "not indexed yet" in bawn("index", "status", *at).stdout
    assert "demo: 2 files indexed" in bawn("index", "run", *at).stdout
    assert "0 files indexed (0 chunks, 0.00 MB), 2 unchanged" in bawn("index", "run", *at).stdout
    assert not (place / "code").exists()
    assert "2 files, 2 chunks" in bawn("index", "status", *at).stdout
    assert bawn("search", "save", "item", *at).stdout.startswith("demo src/store.py:1  Store")

    assert "go back to" in bawn("index", "meilisearch", "rollback", *at, check=False).stderr
    write(tmp_path / "demo", {"src/store.py": "def only_in_the_rebuilt(): ...\n"})
    bawn("index", "run", "--rebuild", *at)
    assert "only_in_the_rebuilt" in bawn("search", "only_in_the_rebuilt", *at).stdout
    bawn("index", "meilisearch", "rollback", *at)
    assert "save_item" in bawn("search", "save_item", *at).stdout
    assert "Nothing found" in bawn("search", "only_in_the_rebuilt", *at).stdout
    assert "demo: 1 files indexed" in bawn("index", "run", *at).stdout
    assert "only_in_the_rebuilt" in bawn("search", "only_in_the_rebuilt", *at).stdout

    bawn("index", "meilisearch", "leave", *at)
    bawn("index", "run", *at)
    assert (place / "code").exists()
    assert "only_in_the_rebuilt" in bawn("search", "only_in_the_rebuilt", *at).stdout


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ('{"meilisearch": {"code": {"url": "127.0.0.1:7700", "key_file": "k"}}}', "meilisearch.code.url"),
        ('{"meilisearch": {"code": {"url": "http://127.0.0.1:7700", "key_file": "/none"}}}', "/none"),
        ('{"meilisearch": {"code": {"url": "http://x", "key_file": "k", "index": "a/b"}}}', "meilisearch.code.index"),
        ('{"meilisearch": {"mode": {"url": "http://x", "key_file": "k"}}}', "mode"),
        ('{"meilisearch": {"code": {"url": "http://x"}}}', "key_file"),
        ('{"meilisaerch": {}}', "meilisaerch"),
        ("{", "JSON"),
    ],
)
def test_an_index_file_that_can_not_work_is_named_with_what_is_wrong(tmp_path: Path, file: str, reason: str) -> None:
    write(tmp_path / "demo", {"a.py": "x = 1\n"})
    register(tmp_path / "index", tmp_path / "demo")
    write(tmp_path / "index", {"index.json": file})
    for command in (("search", "word"), ("index", "run")):
        told = bawn(*command, "--index", tmp_path / "index", check=False)
        assert told.returncode == 2
        assert reason in told.stderr
        assert "Traceback" not in told.stderr


def test_a_server_that_is_away_is_one_sentence_and_the_run_says_so_by_its_status(tmp_path: Path) -> None:
    write(tmp_path / "demo", {"a.py": "x = 1\n"})
    register(tmp_path / "index", tmp_path / "demo")
    write(tmp_path, {"key": "k"})
    bawn("index", "meilisearch", "use", "--url", NOBODY, "--key-file", tmp_path / "key", "--index", tmp_path / "index")
    ran = bawn("index", "run", "--index", tmp_path / "index", check=False)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"Meilisearch can't be reached at {NOBODY}" in ran.stderr
    searched = bawn("search", "x", "--index", tmp_path / "index", check=False)
    assert searched.returncode == 2
    assert f"Meilisearch can't be reached at {NOBODY}" in searched.stderr


async def test_the_gateway_searches_there_with_a_key_that_may_only_read(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, name: str
) -> None:
    with running(tmp_path_factory.mktemp("meilisearch")) as server:
        store = of_meilisearch(server, tmp_path, name)
        write(tmp_path / "demo", {"src/store.py": "def save_item(item):\n    return item\n"})
        index(store.index_dir, tmp_path / "demo")
        async with (
            running_gateway(NOBODY, index_dir=str(store.search_dir)) as gateway,
            httpx.AsyncClient(headers={"authorization": f"Bearer {gateway.key}"}, trust_env=False, timeout=20) as http,
            Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client,
        ):
            found = await client.call_tool("search_code", {"query": "save item"})
            assert not found.is_error
            assert "demo src/store.py:1-2" in found.content[0].text
            read = await client.call_tool("read_file", {"repo": "demo", "path": "src/store.py", "start_line": 2})
            assert read.structured_content["text"].strip() == "return item"
            server.stop()
            failed = await client.call_tool("search_code", {"query": "save item"})
            assert failed.is_error
            assert "Meilisearch can't be reached" in failed.content[0].text
            server.start()
            assert not (await client.call_tool("search_code", {"query": "save item"})).is_error


def test_what_meilisearch_says_of_a_failed_task_is_said(server: Meilisearch, store: Store, name: str) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    asked = _server(server, _key(name, "indexer"))
    with pytest.raises(TaskFailed, match=r"Document identifier .*no identifier.* is invalid"):
        asked.wait(asked.add(name, b'{"id": "no identifier"}'))


def test_a_second_run_asks_for_nothing(server: Meilisearch, store: Store, name: str, tmp_path: Path) -> None:
    write(tmp_path / "demo", {"a.py": "x = 1\n"})
    index(store.index_dir, tmp_path / "demo")
    tasks = f"/tasks?indexUids={name}&limit=1"
    before = server.ask("GET", tasks).json()["total"]
    run_index(store.index_dir)
    assert server.ask("GET", tasks).json()["total"] == before


def test_settings_that_somebody_changed_are_put_right(
    server: Meilisearch, store: Store, name: str, tmp_path: Path
) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    asked = _server(server, MASTER_KEY)
    asked.wait(asked.enqueue("PATCH", f"/indexes/{name}/settings", {"stopWords": ["word"], "filterableAttributes": []}))
    with _publisher(server, name, tmp_path) as publisher:
        assert publisher.files("demo") == {"a.py": "blob-1"}
    told = server.ask("GET", f"/indexes/{name}/settings").json()
    assert (told["stopWords"], told["filterableAttributes"]) == ([], settings()["filterableAttributes"])


def test_an_index_of_another_format_is_refused_with_the_mend(
    server: Meilisearch, store: Store, name: str, tmp_path: Path
) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    asked = _server(server, MASTER_KEY)
    stored = asked.search(name, [{"q": "", "filter": "kind = chunk", "limit": 1}])[0].hits[0].id
    other = f'{{"id": "about", "kind": "about", "format": 99, "complete": true}}\n{{"id": "{stored}", "format": 99}}\n'
    asked.wait(asked.enqueue("PUT", f"/indexes/{name}/documents", [json.loads(line) for line in other.splitlines()]))
    with pytest.raises(SettingsError, match=r"format 99.*--rebuild"):
        _publisher(server, name, tmp_path)
    with pytest.raises(Unavailable, match=r"format 99.*--rebuild"):
        store.reader().candidates(["word"], EVERYWHERE)
    with store.writing(rebuild=True) as publisher:
        publisher.replace("demo", "a.py", None, [chunk("demo", "a.py", "word")])
        publisher.commit()
    assert len(store.reader().candidates(["word"], EVERYWHERE)) == 1
    with pytest.raises(SettingsError, match="format 99"):
        roll_back(_server(server, _key(name, "indexer")), name)


def test_nobody_can_go_back_to_a_rebuild_that_failed(server: Meilisearch, store: Store, name: str) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    with pytest.raises(RuntimeError), store.writing(rebuild=True):
        raise RuntimeError
    with pytest.raises(SettingsError, match="go back to"):
        roll_back(_server(server, _key(name, "indexer")), name)


def test_of_a_file_that_is_being_replaced_readers_see_the_new_version_alone_and_the_next_run_takes_the_old_one_out(
    server: Meilisearch, store: Store, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [chunk("demo", "a.py", f"word old {line}", start_line=line) for line in (1, 2, 3)]
    new = [chunk("demo", "a.py", "word new", blob="blob-2")]
    store.publish("demo", {"a.py": old})
    with monkeypatch.context() as patch, _publisher(server, name, tmp_path) as publisher:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(publishing.MeilisearchPublisher, "_take_out", die)
        publisher.replace("demo", "a.py", "blob-1", new)
        with pytest.raises(KeyboardInterrupt):
            publisher.commit()
    reader = store.reader()
    assert reader.candidates(["word", "old"], EVERYWHERE) == new
    assert reader.file("demo", "a.py") == new
    assert reader.files(EVERYWHERE) == [("demo", "a.py")]
    assert reader.count("demo") == (2, 4)
    with _publisher(server, name, tmp_path) as publisher:
        assert publisher.files("demo") == {"a.py": "blob-2"}
    assert reader.count("demo") == (1, 1)
    assert reader.candidates(["old"], EVERYWHERE) == []


def test_batches_keep_within_their_bounds_and_a_file_is_in_one() -> None:
    size, documents = publishing.MOST_BYTES, publishing.MOST_DOCUMENTS
    pending = [publishing._Pending(0, size * 3 // 8, 10) for _ in range(5)]
    pending += [publishing._Pending(0, 1, documents - 1)] * 2
    pending.append(publishing._Pending(0, size + 1, documents + 1))
    assert [len(batch) for batch in publishing.batches(pending)] == [2, 2, 1, 1, 1, 1]


def test_the_appliances_server_takes_the_largest_batch() -> None:
    (limit,) = (one.partition("=")[2] for one in as_packaged() if one.startswith("--http-payload-size-limit="))
    number, unit = limit.split()
    assert unit == "MiB"
    assert int(number) * 2**20 > publishing.MOST_BYTES


CODE = "def function_{0}(argument):\n    return argument + {0}\n\n\n"


def _code(folder: Path, files: int = 300) -> Path:
    write(folder, {f"src/{n}.py": "".join(CODE.format(n * 100 + part) for part in range(30)) for n in range(files)})
    return folder


def _wanted(folder: Path, code: Path) -> list[tuple[str, str, int, str]]:
    store = embedded(folder)
    index(store.index_dir, code)
    return _documents(store)


@pytest.mark.parametrize("tasks", [1, 3, 4, 5, 7])
async def test_a_run_that_is_killed_is_made_up_for_by_the_next_without_repeats_or_holes(
    server: Meilisearch, store: Store, name: str, tmp_path: Path, tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = _code(tmp_path / "demo")
    register(store.index_dir, code)
    small = "from bawn.search.meilisearch import publishing; publishing.MOST_DOCUMENTS = 400; "
    argv = [sys.executable, "-c", small + BAWN[2], "index", "run", "--index", str(store.index_dir)]
    run = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listed = f"/tasks?indexUids={name}&limit=1"
    await until(lambda: run.poll() is not None or server.ask("GET", listed).json()["total"] >= tasks, 60)
    run.kill()
    run.wait()
    bawn("index", "run", "--index", store.index_dir)
    assert _documents(store) == _wanted(tmp_path / "embedded", code)
    files = len(list(code.rglob("*.py")))
    assert store.reader().count("demo")[0] == files


@pytest.mark.parametrize("tasks", [3, 4, 5])
async def test_a_server_that_is_killed_in_a_run_is_made_up_for_when_it_is_back(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, name: str, tasks: int
) -> None:
    with running(tmp_path_factory.mktemp("meilisearch")) as server:
        store = of_meilisearch(server, tmp_path, name)
        code = _code(tmp_path / "demo")
        register(store.index_dir, code)
        argv = [*BAWN, "index", "run", "--index", str(store.index_dir)]
        run = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        listed = f"/tasks?indexUids={name}&limit=1"
        await until(lambda: run.poll() is not None or server.ask("GET", listed).json()["total"] >= tasks, 60)
        server.stop(signal.SIGKILL)
        told = run.communicate(timeout=60)[1]
        if run.returncode != 0:
            assert run.returncode == 1
            assert told.startswith("bawn: Meilisearch")
        server.start()
        bawn("index", "run", "--index", store.index_dir)
        assert _documents(store) == _wanted(tmp_path / "embedded", code)
