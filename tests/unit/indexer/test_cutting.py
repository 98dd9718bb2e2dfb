import psutil
import pytest

from bawn.indexer.chunking import chunk
from bawn.indexer.cutting import Cutter

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


def test_no_worker_is_started_for_what_has_no_grammar_and_none_is_left() -> None:
    with Cutter() as cutter:
        cutter.cut("a\nb\n", "text")
        assert _workers() == []
        cutter.cut(SOURCE, "python")
        assert len(_workers()) == 1
    assert _workers() == []
