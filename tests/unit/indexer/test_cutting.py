import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bawn.indexer import cutting
from bawn.indexer.chunking import chunk
from bawn.indexer.cutting import Cutter
from bawn.indexer.documents.extraction import Extraction
from support.documents import docx, docx_bomb, encrypted_pdf, paragraph, pdf, pdf_bomb

SOURCE = "def first():\n    return 1\n"


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "bawn.indexer.cutting_worker" in child.cmdline()]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "{" * 100_000),
        ("c", "int x[] = {\n" + "0x12, " * 60_000 + "};\n"),
        ("java", "a<" * 100_000),  # memory quadratic in its length, all in one step of the parser
        ("cpp", "a<" * 100_000),
        ("markdown", "> " * 2_000 + "\n" + "- " * 2_000),
    ],
)
def test_what_no_parser_can_take_is_cut_all_the_same(language: str, text: str) -> None:
    with Cutter() as cutter:
        pieces = cutter.cut(text, language)
        assert "\n".join(piece.text for piece in pieces) == text.removesuffix("\n")
        assert cutter.cut(SOURCE, "python") == chunk(SOURCE, "python")


def test_a_worker_that_died_is_replaced() -> None:
    with Cutter() as cutter:
        cutter.cut(SOURCE, "python")
        (worker,) = _workers()
        worker.kill()
        worker.wait(10)
        assert cutter.cut(SOURCE, "python") == chunk(SOURCE, "python")
        assert [child.pid for child in _workers()] != [worker.pid]


def test_a_worker_does_not_grow_with_what_it_has_read() -> None:
    source = SOURCE * 5_000
    with Cutter() as cutter:
        for _ in range(5):
            cutter.cut(source, "python")
        (worker,) = _workers()
        before = worker.memory_info().rss
        for _ in range(50):
            cutter.cut(source, "python")
        assert _workers() == [worker]
        assert worker.memory_info().rss - before < 10 * len(source)


def test_what_a_parser_dies_of_is_given_to_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    start = subprocess.Popen

    def counted(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(args)
        return start(*args, **options)

    monkeypatch.setattr(cutting.subprocess, "Popen", counted)
    with Cutter() as cutter:
        cutter.cut("a<" * 100_000, "java")
        assert len(started) == 1


def test_no_worker_is_started_for_what_has_no_grammar_and_none_is_left() -> None:
    with Cutter() as cutter:
        cutter.cut("a\nb\n", "text")
        assert _workers() == []
        cutter.cut(SOURCE, "python")
        assert len(_workers()) == 1
    assert _workers() == []


@pytest.mark.parametrize(
    ("language", "made", "reason"),
    [
        ("pdf", pdf_bomb, "failed"),
        ("docx", docx_bomb, "too_large"),
        ("pdf", encrypted_pdf, "encrypted"),
        ("pdf", lambda: b"%PDF-1.7\nbroken", "damaged"),
        ("docx", lambda: b"PK\3\4broken", "damaged"),
        # A parser's tree of it takes more memory than the reading of a document may.
        ("html", lambda: b"<!doctype html><html><body>" + b"<b>x</b><i>y</i>\n" * 600_000, "failed"),
    ],
    ids=["pdf-bomb", "docx-bomb", "encrypted", "broken-pdf", "broken-docx", "dense-page"],
)
def test_a_document_that_does_harm_is_left_out_and_stops_nothing(
    language: str, made: Callable[[], bytes], reason: str
) -> None:
    with Cutter() as cutter:
        assert cutter.extract(made(), language) == Extraction(skipped=reason)
        assert cutter.extract(pdf(["words"]), "pdf") == Extraction("[page 1]\nwords\n", "pdf")
        assert cutter.cut(SOURCE, "python") == chunk(SOURCE, "python")


def test_documents_and_source_are_read_in_one_process_one_after_the_other() -> None:
    with Cutter() as cutter:
        for _ in range(3):
            assert cutter.extract(pdf(["words"] * 40), "pdf").text.count("words") == 40
            assert cutter.cut(SOURCE, "python") == chunk(SOURCE, "python")
            assert cutter.extract(docx(paragraph("words")), "docx").text == "words\n"
        assert len(_workers()) == 1
    assert _workers() == []


def test_a_page_with_little_to_read_is_source() -> None:
    with Cutter() as cutter:
        assert cutter.extract(b"<html><body>Hi", "html") is None


def test_the_memory_that_a_bomb_may_take_is_bounded() -> None:
    with Cutter() as cutter:
        assert cutter.extract(docx_bomb(), "docx") == Extraction(skipped="too_large")
        (worker,) = _workers()
        status = Path(f"/proc/{worker.pid}/status").read_text()
    most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert most < 200_000  # KiB
