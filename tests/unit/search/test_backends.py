"""What every backend of the search index must do, asked of each that this machine has."""

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

import bawn
from bawn.search.backend import NoIndex, Scope
from bawn.search.documents import FIELDS
from bawn.search.globs import MAX_GLOB
from bawn.search.identifiers import words
from bawn.search.query import read_query
from bawn.search.ranking import rank
from support.indexes import index
from support.meilisearch import Meilisearch, running
from support.stores import Store, chunk, embedded, of_meilisearch

EVERYWHERE = Scope()
ODD_PATHS = [
    "README.md",
    "readme.md",  # another file
    "src/größe/häßlich.py",
    "検索/エンジン.py",
    "with space/a 'quoted' \"name\".py",
    "back\\slash.py",
    "[x]{y}(z)+^$.py",
    "a/" * 100 + "x" * 200 + ".py",
    "a/" * 100 + "x" * 200 + ".pyi",  # as long as the one before, until the very end
    "-dash,comma=equals;semi:colon.py",
    "IN [a, b] OR repo EXISTS",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meilisearch]:
    with running(tmp_path_factory.mktemp("meilisearch")) as server:
        yield server


_numbers = count()


@pytest.fixture(params=["embedded", "meilisearch"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "embedded":
        return embedded(tmp_path)
    return of_meilisearch(request.getfixturevalue("server"), tmp_path, f"code-{next(_numbers)}")


def _found(store: Store, query: str, scope: Scope = EVERYWHERE) -> set[str]:
    return {document.path for document in store.reader().candidates(words(query), scope)}


def test_before_anything_is_indexed_there_is_no_index(store: Store) -> None:
    with pytest.raises(NoIndex):
        store.reader().candidates(["word"], EVERYWHERE)


def test_an_index_of_nothing_finds_nothing(store: Store) -> None:
    with store.writing() as publisher:
        publisher.commit()
        assert publisher.files("demo") == {}
        assert publisher.repos() == []
    reader = store.reader()
    assert reader.candidates(["word"], EVERYWHERE) == []
    assert reader.statistics(["word"]).documents == 0
    assert (reader.repos(), reader.languages(), reader.files(EVERYWHERE)) == ([], [], [])
    assert reader.file("demo", "a.py") == []
    assert reader.documents([]) == []
    assert reader.count("demo") == (0, 0)


def test_a_document_comes_back_as_it_was_published(store: Store) -> None:
    document = chunk("demo", "a.py", 'def f():\n    return "\\u0000 ü 検索 \x00 \U0001f600"\n', symbols=["f", "C.f"])
    store.publish("demo", {"a.py": [document]})
    assert store.reader().candidates(["f"], EVERYWHERE) == [document]
    assert store.reader().file("demo", "a.py") == [document]


def test_what_is_published_is_visible_after_the_commit_and_nothing_of_it_before(store: Store) -> None:
    store.publish("demo", {"first.py": [chunk("demo", "first.py", "word first")]})
    reader = store.reader()
    with store.writing() as publisher:
        publisher.replace("demo", "second.py", None, [chunk("demo", "second.py", "word second")])
        publisher.remove("demo", "first.py", "blob-1")
        assert {one.path for one in reader.candidates(["word"], EVERYWHERE)} == {"first.py"}
        assert reader.candidates(["second"], EVERYWHERE) == []
        assert publisher.files("demo") == {"first.py": "blob-1"}
        publisher.commit()
        assert {one.path for one in reader.candidates(["word"], EVERYWHERE)} == {"second.py"}
        assert {one.path for one in reader.candidates(["second"], EVERYWHERE)} == {"second.py"}
        assert reader.statistics(["second"]).frequency == {"second": 1}
        assert publisher.files("demo") == {"second.py": "blob-1"}


def _die(store: Store, paths: Iterable[str], *, rebuild: bool = False) -> None:
    """A run that ends by an error: one that rebuilds after a commit, any other before it."""
    with store.writing(rebuild=rebuild) as publisher:
        for path in paths:
            publisher.replace("demo", path, None, [chunk("demo", path, "word")])
        if rebuild:
            publisher.commit()
        raise KeyboardInterrupt


def test_an_error_drops_what_is_not_committed(store: Store) -> None:
    store.publish("demo", {"first.py": [chunk("demo", "first.py", "word")]})
    with pytest.raises(KeyboardInterrupt):
        _die(store, ["second.py"])
    assert _found(store, "word") == {"first.py"}
    store.publish("demo", {"third.py": [chunk("demo", "third.py", "word")]})
    assert _found(store, "word") == {"first.py", "third.py"}


def test_a_replaced_file_has_only_its_new_chunks(store: Store) -> None:
    old = [chunk("demo", "a.py", f"word old {line}", start_line=line) for line in range(1, 6)]
    new = [chunk("demo", "a.py", f"word new {line}", start_line=line, blob="blob-2") for line in (1, 3)]
    store.publish("demo", {"a.py": old, "b.py": [chunk("demo", "b.py", "word")]})
    store.publish("demo", {"a.py": new})
    assert store.reader().file("demo", "a.py") == new
    assert _found(store, "old") == set()
    assert store.reader().count("demo") == (2, 3)


def test_the_last_that_was_said_of_a_file_before_a_commit_counts(store: Store) -> None:
    def version(number: int, path: str = "a.py"):
        return [chunk("demo", path, f"word version{number}", blob=f"blob-{number}")]

    with store.writing() as publisher:
        publisher.replace("demo", "a.py", None, version(1))
        publisher.replace("demo", "a.py", "blob-1", version(2))
        publisher.replace("demo", "gone.py", None, version(1, "gone.py"))
        publisher.remove("demo", "gone.py", "blob-1")
        publisher.commit()
        assert publisher.files("demo") == {"a.py": "blob-2"}
    assert store.reader().count("demo") == (1, 1)


def test_a_removed_file_is_gone_and_may_come_back(store: Store) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    with store.writing() as publisher:
        publisher.remove("demo", "a.py", "blob-1")
        publisher.commit()
    assert _found(store, "word") == set()
    assert store.reader().repos() == []
    store.publish("demo", {"a.py": [chunk("demo", "a.py", "word")]})
    assert _found(store, "word") == {"a.py"}


def test_a_file_published_again_is_there_once(store: Store) -> None:
    documents = [chunk("demo", "a.py", f"word {line}", start_line=line) for line in range(1, 4)]
    for _ in range(3):
        store.publish("demo", {"a.py": documents})
    assert store.reader().file("demo", "a.py") == documents
    assert store.reader().count("demo") == (1, 3)
    assert store.reader().statistics(["word"]).frequency == {"word": 3}


def test_files_of_one_path_in_two_repositories_are_two(store: Store) -> None:
    for repo in ("app", "app/main", "App"):
        store.publish(repo, {"a.py": [chunk(repo, "a.py", f"word {repo}", blob=repo)]})
    assert store.reader().repos() == ["App", "app", "app/main"]
    with store.writing() as publisher:
        assert publisher.files("app") == {"a.py": "app"}
        publisher.remove("app", "a.py", "app")
        publisher.commit()
    assert [one.text for one in store.reader().file("App", "a.py")] == ["word App"]
    assert store.reader().repos() == ["App", "app/main"]


def test_the_chunks_of_a_file_come_in_the_order_of_its_lines(store: Store) -> None:
    documents = [chunk("demo", "a.py", f"line {line}", start_line=line) for line in range(1, 40)]
    store.publish("demo", {"a.py": documents[::-1]})
    assert store.reader().file("demo", "a.py") == documents


def test_documents_of_some_files_and_of_no_others(store: Store) -> None:
    files = {path: [chunk("demo", path, path)] for path in ("a.py", "b.py", "c.py")}
    store.publish("demo", files)
    asked = [("demo", "a.py"), ("demo", "c.py"), ("demo", "none.py"), ("other", "b.py")]
    assert {one.path for one in store.reader().documents(asked)} == {"a.py", "c.py"}


def test_each_word_alone_finds_what_has_it(store: Store) -> None:
    texts = {"one.py": "alpha beta", "two.py": "beta gamma", "three.py": "delta"}
    store.publish("demo", {path: [chunk("demo", path, text)] for path, text in texts.items()})
    assert _found(store, "alpha gamma") == {"one.py", "two.py"}
    assert _found(store, "alpha nowhere") == {"one.py"}
    assert _found(store, "nowhere") == set()


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("readFile", "read_file"),
        ("HTTPServer", "server"),
        ("sha256sum", "sha256sum"),
        ("sha256sum", "256"),
        ("v1.2.3", "2"),
        ("größe", "größe"),
        ("検索エンジン", "検索エンジン"),
        ("naïve_café", "café"),
        ("x", "x"),
        ("not", "not"),
        ("OR", "or"),
        ("retries", "retry"),
        ("a" * 200, "a" * 200),
    ],
)
def test_a_word_is_found_however_it_is_written(store: Store, written: str, asked: str) -> None:
    other = chunk("demo", "other.py", "nothing of it")
    store.publish("demo", {"a.py": [chunk("demo", "a.py", written)], "other.py": [other]})
    assert _found(store, asked) == {"a.py"}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("reading", "read"),
        ("retry", "retrx"),
        ("cafe", "café"),
        ("read file", "readfile"),
        ("検索エンジン", "検索"),
        ("b" * 70, "b" * 63),
    ],
)
def test_a_word_that_is_another_is_not_found(store: Store, written: str, asked: str) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", written)]})
    assert _found(store, asked) == set()
    assert store.reader().statistics(words(asked)).frequency == {words(asked)[0]: 0}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), {"src/a.py", "src/deep/b.py", "src/deep/b_test.go", "docs/a.md", "a.py", "src.py", "Src/c.py"}),
        (Scope(repo="demo"), {"src/a.py", "src/deep/b.py", "src/deep/b_test.go", "docs/a.md", "a.py", "src.py"}),
        (Scope(repo="nope"), set()),
        (Scope(language="go"), {"src/deep/b_test.go"}),
        (Scope(language="klingon"), set()),
        (Scope(path="src"), {"src/a.py", "src/deep/b.py", "src/deep/b_test.go"}),
        (Scope(path="./src/"), {"src/a.py", "src/deep/b.py", "src/deep/b_test.go"}),
        (Scope(path="src/a.py"), {"src/a.py"}),
        (Scope(path="sr"), set()),
        (Scope(path="*.py"), {"src/a.py", "src/deep/b.py", "a.py", "src.py", "Src/c.py"}),
        (Scope(path="src/*.py"), {"src/a.py"}),
        (Scope(path="src/**"), {"src/a.py", "src/deep/b.py", "src/deep/b_test.go"}),
        (Scope(path="src/**/*.py"), {"src/a.py", "src/deep/b.py"}),
        (Scope(path="**/a.*"), {"src/a.py", "docs/a.md", "a.py"}),
        (Scope(path="**/deep/**"), {"src/deep/b.py", "src/deep/b_test.go"}),
        (Scope(path="*_test.go"), {"src/deep/b_test.go"}),
        (Scope(path="*test.go"), {"src/deep/b_test.go"}),
        (Scope(path="*/a.py"), {"src/a.py"}),
        (Scope(path="s?c/*"), {"src/a.py"}),
        (Scope(path="*.rs"), set()),
        (Scope(repo="other", path="*.py"), {"Src/c.py"}),
        (Scope(repo="demo", path="**/*.py", language="go"), set()),
    ],
    ids=lambda value: repr(value).replace("=None", "") if isinstance(value, Scope) else "",
)
def test_a_scope_leaves_out_what_is_not_in_it(store: Store, scope: Scope, expected: set[str]) -> None:
    languages = {"py": "python", "go": "go", "md": "markdown"}
    paths = {"demo": ["src/a.py", "src/deep/b.py", "src/deep/b_test.go", "docs/a.md", "a.py", "src.py"]}
    paths["other"] = ["Src/c.py"]
    for repo, own in paths.items():
        made = {path: [chunk(repo, path, "word", language=languages[path.rpartition(".")[2]])] for path in own}
        store.publish(repo, made)
    assert _found(store, "word", scope) == expected
    assert _found(store, "word another", scope) == expected
    assert {path for _, path in store.reader().files(scope)} == expected
    assert store.reader().statistics(["word"]).frequency == {"word": 7}, "a scope narrows no statistics"


def test_files_are_listed_by_repository_and_path(store: Store) -> None:
    for repo in ("b", "a"):
        store.publish(repo, {path: [chunk(repo, path, "x")] for path in ("z.py", "a.py", "Z.py")})
    expected = [(repo, path) for repo in ("a", "b") for path in ("Z.py", "a.py", "z.py")]
    assert store.reader().files(EVERYWHERE) == expected
    assert store.reader().languages() == ["python"]


def test_odd_paths_are_as_good_as_others(store: Store) -> None:
    store.publish("demo", {path: [chunk("demo", path, "word", blob=path[-40:])] for path in ODD_PATHS})
    assert store.reader().files(EVERYWHERE) == sorted(("demo", path) for path in ODD_PATHS)
    for path in ODD_PATHS:
        assert [one.path for one in store.reader().file("demo", path)] == [path]
        if len(path) <= MAX_GLOB:
            assert _found(store, "word", Scope(path=path)) == {path}
    with store.writing() as publisher:
        known = publisher.files("demo")
        assert set(known) == set(ODD_PATHS)
        for path, blob in known.items():
            publisher.remove("demo", path, blob)
        publisher.commit()
    assert store.reader().count("demo") == (0, 0)


def test_statistics_are_those_of_the_whole_index(store: Store) -> None:
    texts = ["alpha", "alpha beta", "alpha beta gammaDelta"]
    documents = [chunk("demo", f"{number}.py", text, symbols=["Alpha"] * number) for number, text in enumerate(texts)]
    store.publish("demo", {document.path: [document] for document in documents})
    found = store.reader().statistics(["alpha", "beta", "gamma", "nowhere"])
    assert found.documents == 3
    assert found.frequency == {"alpha": 3, "beta": 2, "gamma": 1, "nowhere": 0}
    for name in FIELDS:
        lengths = [len(getattr(document.words, name).split()) for document in documents]
        assert found.mean_lengths[name] == pytest.approx(sum(lengths) / 3)


def test_statistics_of_thousands_of_words(store: Store) -> None:
    store.publish("demo", {"a.py": [chunk("demo", "a.py", " ".join(f"word{n:04}" for n in range(0, 2000, 2)))]})
    found = store.reader().statistics([f"word{number:04}" for number in range(2000)]).frequency
    assert sum(found.values()) == 1000
    assert (found["word0000"], found["word0001"]) == (1, 0)


def test_a_run_that_dies_before_its_commit_is_made_up_for(store: Store) -> None:
    files = {f"{number}.py": [chunk("demo", f"{number}.py", "word")] for number in range(5)}
    with pytest.raises(KeyboardInterrupt):
        _die(store, files)
    store.publish("demo", files)
    assert store.reader().count("demo") == (5, 5)


def test_readers_have_the_old_index_until_a_rebuilt_one_takes_its_place(store: Store) -> None:
    store.publish("demo", {"old.py": [chunk("demo", "old.py", "word")]})
    reader = store.reader()
    with store.writing(rebuild=True) as publisher:
        assert publisher.files("demo") == {}
        publisher.replace("demo", "new.py", None, [chunk("demo", "new.py", "word")])
        publisher.commit()
        assert {one.path for one in reader.candidates(["word"], EVERYWHERE)} == {"old.py"}
        assert _found(store, "word") == {"old.py"}
    assert _found(store, "word") == {"new.py"}


def test_a_rebuild_that_fails_leaves_the_old_index(store: Store) -> None:
    store.publish("demo", {"old.py": [chunk("demo", "old.py", "word")]})
    with pytest.raises(KeyboardInterrupt):
        _die(store, ["new.py"], rebuild=True)
    assert _found(store, "word") == {"old.py"}
    with store.writing(rebuild=True) as publisher:
        assert publisher.files("demo") == {}, "what the failed one had is not taken over"
        publisher.replace("demo", "newer.py", None, [chunk("demo", "newer.py", "word")])
        publisher.commit()
    assert _found(store, "word") == {"newer.py"}


def test_a_first_index_may_be_a_rebuilt_one(store: Store) -> None:
    with store.writing(rebuild=True) as publisher:
        publisher.replace("demo", "a.py", None, [chunk("demo", "a.py", "word")])
        publisher.commit()
    assert _found(store, "word") == {"a.py"}


def test_ten_thousand_documents(store: Store) -> None:
    files = {
        f"src/{number % 100}/{number}.py": [
            chunk("demo", f"src/{number % 100}/{number}.py", f"word common number{number} {part}", start_line=part)
            for part in (1, 2, 3, 4)
        ]
        for number in range(2500)
    }
    store.publish("demo", files)
    reader = store.reader()
    assert reader.count("demo") == (2500, 10_000)
    assert len(reader.files(EVERYWHERE)) == 2500
    assert {one.path for one in reader.candidates(["number777"], EVERYWHERE)} == {"src/77/777.py"}
    statistics = reader.statistics(["common", "number777"])
    assert (statistics.documents, statistics.frequency) == (10_000, {"common": 10_000, "number777": 4})
    # A rare word among frequent ones, and a glob that names many files one by one.
    asked = ["word", "common", "number777"]
    assert "src/77/777.py" in {one.path for one in reader.candidates(asked, EVERYWHERE)}
    some = {one.path for one in reader.candidates(asked, Scope(path="src/*7/*7.py"))}
    assert "src/77/777.py" in some
    assert all(path.split("/")[1].endswith("7") and path.endswith("7.py") for path in some)


def test_of_a_long_question_a_chunk_with_two_of_its_frequent_words_is_found(store: Store) -> None:
    # For each word alone forty others come first.
    texts = {f"{word}{number}.py": word for word in ("buffer", "cursor") for number in range(40)}
    texts |= {f"{word}.py": word for word in ("apricot", "banana", "cherry")}
    texts["both.py"] = "buffer cursor " + " ".join(f"filler{number}" for number in range(300))
    store.publish("demo", {path: [chunk("demo", path, text)] for path, text in texts.items()})
    asked = ["apricot", "banana", "cherry", "buffer", "cursor"]
    assert "both.py" in {one.path for one in store.reader().candidates(asked, EVERYWHERE)}


QUERIES = [
    "EmbeddedPublisher",
    "read_query",
    "writer_lock",
    "IndexSearch.read_file",
    "search/ranking.py",
    "Fingerprints",
    "how is a file split into chunks",
    "retry of a request before the first byte",
    "BM25F inverse document frequency",
    "which process holds the lock",
    "api key hash",
    "glob to regular expression",
    "timeout of the upstream",
    "kv cache prefix",
    "identity of a tailnet node",
    "stop words",
    "split camelCase identifiers",
    "health check of an upstream",
    "settings file unknown key",
    "weights download resume",
    "token budget of an answer",
    "git blob hash",
    "error dialect openai",
    "stream keepalive",
]


def test_two_backends_rank_alike(
    request: pytest.FixtureRequest, tmp_path: Path, server: Meilisearch, record_property: Callable[[str, object], None]
) -> None:
    stores = [embedded(tmp_path / "embedded"), of_meilisearch(server, tmp_path / "meilisearch", "code-alike")]
    for store in stores:
        index(store.index_dir, Path(bawn.__file__).parent)
    shares: list[float] = []
    other: list[str] = []
    for text in QUERIES:
        query = read_query(text)
        first, second = (
            [
                (one.document.path, one.document.start_line)
                for one in rank(query, r.candidates(query.words, EVERYWHERE), r.statistics(query.words), 10)
            ]
            for r in (store.reader() for store in stores)
        )
        # One counts how many chunks have a word, one reckons it: what is as good as another may change places with it.
        assert first[0][0] in {path for path, _ in second[:2]}, text
        assert second[0][0] in {path for path, _ in first[:2]}, text
        other += [text] if first[0][0] != second[0][0] else []
        shares.append(len(set(first) & set(second)) / len(first))
    record_property("shared of the best ten", sum(shares) / len(shares))
    assert len(other) <= 1, other
    assert sum(shares) / len(shares) > 0.9
