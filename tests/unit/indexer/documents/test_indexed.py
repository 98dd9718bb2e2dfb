from collections import Counter
from pathlib import Path

import psutil
import pytest

from bawn.contracts.errors import NotFound
from bawn.indexer.run import run_index
from bawn.search.embedded import EmbeddedIndex
from bawn.search.tools import IndexSearch
from support.documents import docx, docx_bomb, encrypted_pdf, paragraph, pdf, pdf_bomb
from support.indexes import found, index, register, repository, write

SENTENCE = "A sentence of the documentation that somebody reads to learn about it. "
MAIN = f"<main><h1>Quenching</h1><p>{SENTENCE * 3}</p></main>"
PAGE = f"<!doctype html><html><body><nav>menu</nav>{MAIN}</body></html>"


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


def _skipped(index_dir: Path) -> Counter[str]:
    (outcome,) = run_index(index_dir)
    assert outcome.progress is not None
    return outcome.progress.skipped


def test_documents_are_found_by_what_they_say_and_read_as_text(tmp_path: Path, index_dir: Path) -> None:
    demo = repository(
        tmp_path / "demo",
        {
            "manual.pdf": pdf(["Preface", "How to quench a flange"]),
            "offer.docx": docx(paragraph("The tarnished gasket is out of stock.")),
            "docs/page.html": PAGE,
            "notes.rst": "Sprockets\n=========\n\nThey turn.\n",
            "scan": pdf(["A borehole without a suffix"]),
        },
    )
    index(index_dir, demo)
    assert found(index_dir, "flange") == ["manual.pdf"]
    assert found(index_dir, "gasket") == ["offer.docx"]
    assert found(index_dir, "quenching")[0] == "docs/page.html"
    assert found(index_dir, "menu") == []
    assert found(index_dir, "sprocket") == ["notes.rst"]
    assert found(index_dir, "borehole") == ["scan"]
    search = IndexSearch(index_dir)
    assert search.read_file("demo", "manual.pdf", 3).text == "[page 2]\nHow to quench a flange"
    assert search.read_file("demo", "docs/page.html", 1, 1).text == "# Quenching"
    documents = EmbeddedIndex(index_dir / "code").file("demo", "manual.pdf")
    assert [(one.context, one.kind, one.language) for one in documents] == [
        ("page 1", "docs", "pdf"),
        ("page 2", "docs", "pdf"),
    ]


def test_a_page_that_is_source_is_read_as_it_is(tmp_path: Path, index_dir: Path) -> None:
    index(
        index_dir, repository(tmp_path / "demo", {"web/index.html": PAGE, "docs/layout.html": PAGE + "{% block x %}"})
    )
    search = IndexSearch(index_dir)
    assert search.read_file("demo", "web/index.html").text == PAGE
    assert "<nav>menu</nav>" in search.read_file("demo", "docs/layout.html").text


def test_documents_that_do_harm_are_left_out_each_for_its_reason_and_stop_nothing(
    tmp_path: Path, index_dir: Path
) -> None:
    write(
        tmp_path / "demo",
        {
            "a.py": "def alpha(): ...\n", "bomb.pdf": pdf_bomb(), "bomb.docx": docx_bomb(),
            "broken.pdf": b"%PDF-1.7\nbroken", "closed.pdf": encrypted_pdf(), "empty.pdf": b"",
            "pictures.pdf": pdf([""]), "z.pdf": pdf(["omega"]),
        },
    )  # fmt: skip
    register(index_dir, tmp_path / "demo")
    assert _skipped(index_dir) == {"failed": 1, "too_large": 1, "encrypted": 1, "damaged": 2, "no_text": 1}
    assert found(index_dir, "alpha") == ["a.py"]
    assert found(index_dir, "omega") == ["z.pdf"]


def test_very_large_files_are_left_out_without_being_read(tmp_path: Path, index_dir: Path) -> None:
    demo = tmp_path / "demo"
    write(demo, {"a.py": "def alpha(): ...\n"})
    for name in ("big.py", "big.txt", "big.pdf", "big.docx", "docs/big.html", "big.bin"):
        (demo / name).parent.mkdir(exist_ok=True)
        with (demo / name).open("wb") as file:
            file.truncate(100_000_000)
    register(index_dir, demo)
    before = psutil.Process().io_counters().read_chars
    assert _skipped(index_dir) == {"too_large": 6}
    assert psutil.Process().io_counters().read_chars - before < 10_000_000
    assert found(index_dir, "alpha") == ["a.py"]


def test_a_branch_has_its_documents_too(tmp_path: Path, index_dir: Path) -> None:
    demo = repository(tmp_path / "demo", {"manual.pdf": pdf(["flange"]), "big.pdf": b"%PDF-1.7" + b"x" * 33_000_000})
    register(index_dir, demo, branch="main")
    assert _skipped(index_dir) == {"too_large": 1}
    assert found(index_dir, "flange") == ["manual.pdf"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig", "shift_jis"])
def test_source_of_any_encoding_is_cut_along_its_syntax(tmp_path: Path, index_dir: Path, encoding: str) -> None:
    words = {"shift_jis": "注文"}.get(encoding, "größe")
    source = f'def alpha():\n    """{words}"""\n\n\ndef omega():\n    return alpha()\n'
    index(index_dir, repository(tmp_path / "demo", {"a.py": source.encode(encoding)}))
    symbols = [name for one in EmbeddedIndex(index_dir / "code").file("demo", "a.py") for name in one.symbols]
    assert symbols == ["alpha", "omega"]
    if encoding != "shift_jis":
        assert found(index_dir, words) == ["a.py"]


def test_links_in_a_circle_and_links_that_leave_end_a_run(tmp_path: Path, index_dir: Path) -> None:
    write(tmp_path, {"outside/secret.pdf": pdf(["flange"])})
    demo = tmp_path / "demo"
    write(demo, {"a/b/c.py": "def alpha(): ...\n"})
    links = {"a/b/up": "../..", "self": "self", "one": "two", "two": "one", "manual.pdf": "../outside/secret.pdf"}
    for link, target in links.items():
        (demo / link).symlink_to(target)
    index(index_dir, demo)
    assert found(index_dir, "alpha") == ["a/b/c.py"]
    assert found(index_dir, "flange") == []
    with pytest.raises(NotFound):
        IndexSearch(index_dir).read_file("demo", "manual.pdf")
