"""Engines of the bench's own rank as they say they do."""

import math
from pathlib import Path

import pytest

from bench.search import vectors
from bench.search.corpora import lay
from bench.search.engines import embedding, ours, ripgrep
from bench.search.engines.embedding import WithVectors
from bench.search.engines.engine import WINDOW, Copy, windows
from bench.search.engines.strong import Bm25, StrongBaseline, chunks
from bench.search.places import Place
from bench.search.plan import Plan
from support import tiny_embedder

FILES = {
    "src/retry.py": "import time\n\n\ndef retryWithBackoff(call):\n    return call()\n" + "x = 1\n" * 20,
    "src/other.py": "def other():\n    return retryWithBackoff(other)\n",
    "tests/test_retry.py": "def test_retry():\n    retryWithBackoff(1)\n    retryWithBackoff(2)\n",
}


def test_bm25_is_the_formula() -> None:
    documents = [["a", "b", "a"], ["b"], ["c", "c"]]
    scores = Bm25(documents).scores(["a", "c"])
    mean, k1, b = 2.0, 1.2, 0.75
    idf = math.log1p((3 - 1 + 0.5) / (1 + 0.5))
    assert scores[0] == pytest.approx(idf * 2 * (k1 + 1) / (2 + k1 * (1 - b + b * 3 / mean)))
    assert scores[2] == pytest.approx(idf * 2 * (k1 + 1) / (2 + k1 * (1 - b + b * 2 / mean)))
    assert 1 not in scores


def test_chunks_begin_at_definitions_and_leave_no_line_out() -> None:
    text = "\n".join(f"def f{n}():\n" + "    x = 1\n" * 20 for n in range(4)) + "y = 1\n" * 200
    found = chunks("a.py", text)
    lines = text.split("\n")
    assert [place.start for place in found][:4] == [1, 23, 45, 67]
    assert [n for place in found for n in range(place.start, place.end + 1)] == list(range(1, len(lines) + 1))
    assert all(place.end - place.start < 60 for place in found)


def test_the_strong_baseline_finds_the_definition_before_uses_and_tests() -> None:
    search = StrongBaseline(FILES).search
    assert search("retry with backoff", 1)[0].path == "src/retry.py"
    assert [place.path for place in search("retryWithBackoff", 10)] == [
        "src/retry.py",
        "src/other.py",
        "tests/test_retry.py",
    ]
    assert search("nowhere", 10) == []


def test_windows_are_all_lines_in_turn() -> None:
    text = "\n".join(map(str, range(100)))
    found = windows({"a": text})
    assert [(place.start, place.end) for place, _ in found] == [(1, WINDOW), (WINDOW + 1, 2 * WINDOW), (81, 100)]
    assert "\n".join(text for _, text in found) == text


def test_ripgrep_s_output_is_ranked_by_words_then_lines() -> None:
    output = "./a.py:3:retry\n./a.py:90:Retry\n./a.py:91:backoff\n./b.py:1:retry\n./c.py:1:retry\n./c.py:2:retry\n"
    assert ripgrep.ranked(output) == [Place("a.py", 81, 120), Place("c.py", 1, 40), Place("b.py", 1, 40)]


def test_ours_indexes_by_its_command_and_finds_lines(tmp_path: Path) -> None:
    lay(FILES, tmp_path / "files")
    with ours.embedded(tmp_path).opened(Copy("app", tmp_path / "files", FILES)) as search:
        found = search("retry with backoff", 10)
        assert found[0].path == "src/retry.py"
        assert found[0].overlaps(Place("src/retry.py", 4, 5))
        assert search("?!", 10) == []


def test_what_two_copies_share_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDING_MODEL", str(tiny_embedder.write(tmp_path / "mini.gguf")))
    new = {"src/new.py": "def brand_new():\n    return 1\n"}
    with embedding.serving(tmp_path) as model:
        assert model.name == "tiny-embedder, 0 MB"
        ways = WithVectors(url=model.url, scratch=tmp_path)
        for label, files in (("app-0", FILES), ("app-1", FILES | new)):
            lay(files, tmp_path / label)
            with ways.engine.opened(Copy(label, tmp_path / label, files)) as search:
                assert search("retry with backoff", 10)[0].path == "src/retry.py"
    assert [run.embedded for run in ways.runs] == [3, 1]
    assert [run.chunks for run in ways.runs] == [3, 4]


def test_without_a_model_vectors_are_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBEDDING_MODEL", raising=False)
    (row,) = vectors.rows(Plan(scratch=tmp_path))
    assert row.ours is None
    assert "EMBEDDING_MODEL" in row.note
