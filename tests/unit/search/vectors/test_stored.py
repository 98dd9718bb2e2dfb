"""How vectors are kept: small, by the text that they are of, and by one model."""

import math
import random
import sqlite3
from array import array
from contextlib import closing
from pathlib import Path

import pytest

from bawn.contracts.errors import SettingsError
from bawn.search.documents import IndexDocument, field_words
from bawn.search.vectors.client import Vector
from bawn.search.vectors.stored import (
    MOST_CHARACTERS,
    VectorReader,
    VectorWriter,
    from_bytes,
    key_of,
    similarity,
    text_of,
    to_bytes,
)

ONE, TWO, THREE = (key_of(text) for text in ("one", "two", "three"))


def vector(*numbers: float) -> Vector:
    return array("f", numbers)


def written(file: Path, model: str = "mini") -> None:
    """Two files, which have the chunk TWO in common."""
    with VectorWriter(file, model) as writer:
        writer.add([(ONE, vector(1, 0)), (TWO, vector(0, 1)), (THREE, vector(1, 1))])
        writer.finish("app", "a.py", "blob-a", [ONE, TWO])
        writer.finish("app", "b.py", "blob-b", [TWO, THREE])
        writer.commit()


def test_what_is_lost_by_keeping_bytes_changes_a_cosine_by_less_than_a_hundredth() -> None:
    generator = random.Random(7)
    for width in (32, 384, 1024):
        first, second = ([generator.gauss(0, 1) for _ in range(width)] for _ in range(2))
        mixed = [x + 0.5 * y for x, y in zip(first, second, strict=True)]
        exact = sum(x * y for x, y in zip(first, mixed, strict=True)) / math.hypot(*first) / math.hypot(*mixed)
        kept = [to_bytes(vector(*one)) for one in (first, mixed)]
        assert [len(one) for one in kept] == [width, width]
        assert similarity(from_bytes(kept[0]), from_bytes(kept[1])) == pytest.approx(exact, abs=0.01)


def test_a_vector_of_no_length_is_near_to_nothing() -> None:
    nothing, something = (from_bytes(to_bytes(one)) for one in (vector(0, 0), vector(3, -4)))
    assert similarity(nothing, something) == 0.0
    assert similarity(something, something) == pytest.approx(1.0)


def test_the_text_is_where_a_chunk_is_what_it_defines_and_how_it_begins() -> None:
    def document(text: str, symbols: list[str], context: str = "") -> IndexDocument:
        words = field_words("src/a.py", context, symbols, text)
        return IndexDocument(
            repo="app", branch="main", path="src/a.py", blob="b", commit="", kind="source", language="python",
            start_line=1, end_line=9, context=context, symbols=symbols, text=text, words=words,
        )  # fmt: skip

    assert text_of(document("x = 1\n", ["Pool.take", "take"])) == "src/a.py\nPool.take take\nx = 1\n"
    assert text_of(document("x = 1\n", [], "Pool")) == "src/a.py\nPool\nx = 1\n"
    long = document("y" * 5_000, [])
    assert text_of(long) == "src/a.py\n" + "y" * MOST_CHARACTERS
    # Of what has changed, and of nothing else.
    assert key_of(text_of(long)) == key_of(text_of(document("y" * 6_000, [])))
    assert key_of(text_of(long)) != key_of(text_of(document("x" + "y" * 5_000, [])))


def test_a_reader_sees_what_was_committed_and_nothing_of_another_model(tmp_path: Path) -> None:
    file = tmp_path / "vectors" / "code.sqlite"
    reader = VectorReader(file, "mini")
    assert (reader.find([ONE]), reader.count()) == ({}, 0)
    written(file)
    found = reader.find({ONE, TWO, key_of("unknown")})
    assert {key: list(one.numbers) for key, one in found.items()} == {ONE: [127, 0], TWO: [0, 127]}
    assert reader.count() == 4
    assert VectorReader(file, "other").find([ONE]) == {}
    with VectorWriter(file, "mini") as writer:
        writer.add([(key_of("four"), vector(1, 2))])
        assert reader.find([key_of("four")]) == {}
    assert reader.find([key_of("four")]) == {}, "it was never committed"


def test_another_model_begins_from_nothing(tmp_path: Path) -> None:
    file = tmp_path / "code.sqlite"
    written(file)
    with VectorWriter(file, "other") as writer:
        assert (writer.repos(), writer.files("app"), writer.missing([ONE])) == ([], {}, {ONE})
    assert VectorReader(file, "mini").find([ONE]) == {}


def test_a_vector_goes_with_the_last_file_that_has_it(tmp_path: Path) -> None:
    file = tmp_path / "code.sqlite"
    written(file)
    with VectorWriter(file, "mini") as writer:
        assert writer.files("app") == {"a.py": "blob-a", "b.py": "blob-b"}
        writer.remove("app", "a.py")
        writer.prune()
        writer.commit()
        assert (writer.files("app"), writer.count()) == ({"b.py": "blob-b"}, 2)
        assert writer.missing([ONE, TWO, THREE]) == {ONE}
        writer.finish("app", "b.py", "blob-c", [THREE])
        writer.prune()
        assert writer.missing([ONE, TWO, THREE]) == {ONE, TWO}
        assert writer.files("app") == {"b.py": "blob-c"}


def test_a_damaged_file_costs_the_searches_nothing_and_tells_the_writer_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "code.sqlite"
    file.write_bytes(b"no database, and longer than a header of one " * 50)
    assert (VectorReader(file, "mini").find([ONE]), VectorReader(file, "mini").count()) == ({}, 0)
    with pytest.raises(SettingsError, match=r"code\.sqlite: the vectors can't be kept: .* delete it"):
        VectorWriter(file, "mini")


def test_a_search_does_not_wait_for_a_commit_that_lasts(tmp_path: Path) -> None:
    file = tmp_path / "code.sqlite"
    written(file)
    with closing(sqlite3.connect(file)) as other:
        other.execute("begin exclusive")
        assert VectorReader(file, "mini").find([ONE]) == {}
        other.rollback()
    assert ONE in VectorReader(file, "mini").find([ONE])
