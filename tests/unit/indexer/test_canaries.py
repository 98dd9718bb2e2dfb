"""Canary secrets of every rule, in files of many kinds: none of them reaches an index."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bawn.indexer.report import read_reports
from bawn.indexer.run import run_index
from bawn.search.embedded import EmbeddedIndex
from support.canaries import Canary, canaries, notebook
from support.indexes import register, repository, write

CANARIES = canaries(11)
MARKER = "plainmarker7x"


def planted(canary: Canary, number: int) -> dict[str, str | bytes]:
    """The canary in every kind of file that it can be in."""
    text, lines = canary.text, canary.text.split("\n")
    if canary.path is not None:
        return {f"{number}/{canary.path}": text}
    named = (
        f"names/{canary.value}.txt" if canary.text == canary.value and re.fullmatch(r"[\w.:-]+", canary.value) else None
    )
    return {
        f"src/{number}.py": f'def before_{number}():\n    """\n{text}\n    """\n\n\ndef after_{number}():\n    pass\n',
        f"web/{number}.ts": f"// why\nexport const a = 1; /*\n{text}\n*/\nexport class After{number} {{}}\n",
        f"docs/{number}.md": f"# Canary\n\nSee this:\n\n    {text}\n\n## After\n\nMore.\n",
        f"conf/{number}.yaml": "before: 1\nblock: |\n" + "".join(f"  {line}\n" for line in lines) + "after: 2\n",
        f"conf/{number}.properties": f"before=1\n# {text}\nafter=2\n",
        f"env/{number}/.env": f"BEFORE=1\nCANARY='{canary.value}'\n",
        f"book/{number}.ipynb": notebook(["x = 1", *(f"# {line}" for line in lines), "y = 2"]),
        f"win/{number}.txt": f"before\r\n{text}\r\nafter\r\n".encode("utf-16"),
        f"latin/{number}.txt": f"größe\n{text}\n".encode("latin-1"),
    } | ({named: "a file\n"} if named else {})  # fmt: skip


@pytest.fixture(scope="module")
def files() -> dict[str, str | bytes]:
    made: dict[str, str | bytes] = {"plain.py": f"def {MARKER}():\n    pass\n"}
    for number, canary in enumerate(CANARIES):
        made |= planted(canary, number)
        if canary.rule == "private-key":
            made[f"keys/{number}.pem"] = canary.value
            made[f"keys/{number}"] = canary.value
    return made


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def found_in(index_dir: Path, pieces: set[str]) -> set[str]:
    """Which of `pieces` are in the documents of an index, in whatever field and form, or in the bytes of its files."""
    reader = EmbeddedIndex(index_dir / "code")
    texts: list[str] = []
    for repo in reader.repos():
        for path, _, _ in reader.entries(repo):
            for document in reader.file(repo, path):
                texts += _strings(msgspec.to_builtins(document))
    for path in index_dir.rglob("*"):
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
    whole = "\n".join(texts)
    plain = _plain(whole)
    return {piece for piece in pieces if piece in whole or _plain(piece) in plain}


@pytest.mark.parametrize("source", ["work tree", "commit", "folder"])
def test_no_canary_reaches_an_index(tmp_path: Path, source: str, files: dict[str, str | bytes]) -> None:
    root, index_dir = tmp_path / "demo", tmp_path / "index"
    if source == "folder":
        write(root, files)
    else:
        repository(root, files)
    register(index_dir, root, branch="main" if source == "commit" else None)
    (outcome,) = run_index(index_dir)
    assert outcome.error is None
    assert found_in(index_dir, {MARKER}) == {MARKER}  # what is there is found
    assert found_in(index_dir, {piece for canary in CANARIES for piece in canary.pieces}) == set()

    (report,) = read_reports(index_dir)
    told = set(report.masked) | set(report.left_out)
    unnamed = {path for path in files if not path.startswith("names/")}
    assert unnamed - told == {"plain.py"}
    in_paths = [path for path, reason in report.left_out.items() if reason == "secret_in_path"]
    assert len(in_paths) == len({path.split(">")[0] for path in in_paths}) > 40
    assert {rule for rules in report.masked.values() for rule in rules} == {canary.rule for canary in CANARIES}
