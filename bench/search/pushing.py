"""A commit that is pushed to a large repository: how long until searches find what is new in it.

The repository is fetched over HTTPS from a forge on loopback, as the appliance does it: `bawn index run` fetches and
indexes. What a forge takes to call the webhook, and the gateway to start the unit, is not in it.
"""

import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from bench.report import Row, row
from bench.search.corpora import lay, read_corpus
from bench.search.engines import ours
from bench.search.engines.engine import NotMeasured, Search
from bench.search.indexing import run_ours
from bench.search.packages import LARGE, PROJECTS
from bench.search.plan import Plan
from support.forges import Forge, https_forge

_FILES: Final = 100_000
_LARGEST: Final = 16_000
"""Bytes: the repository is about many files, and large ones say nothing more of that."""
_CHANGED: Final = 50
_PUSHES: Final = 5
_BAR: Final = "≤ 10 s"


def rows(plan: Plan) -> list[Row]:
    """Seconds from a push until what it brought is found, the median of some."""
    place = plan.scratch / "pushing"
    work, served, index_dir = place / "work", place / "served", place / "index"
    files = plan.size(_FILES, 400)
    for folder in (work, served):
        folder.mkdir(parents=True)
    lay(dict(islice(_files(plan), files)), work)
    _git(work, "init", "--quiet", "--initial-branch=main")
    _commit(work)
    _git(place, "clone", "--quiet", "--bare", str(work), str(served / "app.git"))
    _git(work, "remote", "add", "origin", str(served / "app.git"))
    with https_forge(place, served) as forge:
        _register(forge, index_dir)
        print(f"Indexing {files:,} files …", file=sys.stderr, flush=True)
        run_ours(index_dir)
        pushed = [_pushed(work, index_dir, number) for number in range(plan.size(_PUSHES, 1))]
    took, memory = [seconds for seconds, _ in pushed], max(mib for _, mib in pushed)
    name = f"a commit of {_CHANGED} files, pushed to a repository of {files:,}"
    note = f"median of {len(took)}, {min(took):.1f} to {max(took):.1f} s; fetched over HTTPS and indexed on one core"
    return [
        row(f"{name}: until it is found", median(took), "", None, "s", bar=_BAR, note=note),
        row(f"{name}: most memory of the indexer", memory, "", None, "MiB", bar="≤ 350 MiB", note="git included"),
    ]


def _files(plan: Plan) -> Iterator[tuple[str, str]]:
    """Small files of large packages, laid down again and again."""
    corpora = [read_corpus(project) for project in plan.size(LARGE, PROJECTS[:2])]
    for round_ in count(1):
        for corpus in corpora:
            for path, text in corpus.files.items():
                if len(text) <= _LARGEST:
                    yield f"{corpus.name}-{round_}/{path}", text


def _register(forge: Forge, index_dir: Path) -> None:
    opened = ("--token-file", forge.access["token_file"], "--ca-file", forge.access["ca_file"])
    ours.told("add", f"{forge.base}/app.git", *opened, "--name", "app", "--index", str(index_dir))


def _pushed(work: Path, index_dir: Path, number: int) -> tuple[float, float]:
    """Seconds from a push until its words are found, and the indexer's memory in MiB."""
    candidates = sorted(path for path in work.rglob("*") if path.suffix in (".py", ".ts", ".js", ".rs"))
    changed = random.Random(number).sample(candidates, _CHANGED)
    words = {_word(number * _CHANGED + at): file for at, file in enumerate(changed)}
    for word, file in words.items():
        comment = "#" if file.suffix == ".py" else "//"
        with file.open("a", encoding="utf-8", newline="\n") as text:
            text.write(f"\n{comment} {word}\n")
    _commit(work)
    started = perf_counter()
    _git(work, "push", "--quiet", "origin", "main")
    mib = run_ours(index_dir).mib
    search = ours.searching(index_dir)
    missing = [word for word, file in words.items() if not _finds(search, word, file.relative_to(work))]
    took = perf_counter() - started
    if missing:
        raise NotMeasured(f"{len(missing)} of {len(words)} changed files are not found by their new words")
    return took, mib


def _word(number: int) -> str:
    """A word that is in no file, another for each number."""
    return "pushed" + "".join(chr(ord("a") + number // 26**place % 26) for place in range(3))


def _finds(search: Search, word: str, file: Path) -> bool:
    return any(place.path == str(file) for place in search(word, 3))


def _commit(work: Path) -> None:
    _git(work, "add", "--all", "--force")
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgSign=false")
    _git(work, *who, "commit", "--quiet", "--message=changed")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, stdout=subprocess.DEVNULL)
