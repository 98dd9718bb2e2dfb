"""Memory is that of a process and its children together, at its highest."""

import subprocess
import sys
from pathlib import Path

from bench.search.corpora import Corpus
from bench.search.timing import WARM_UP, questions, timed, told
from bench.search.watching import Watch

CHILD = "x = bytearray(60 << 20); x[::4096] = b'x' * len(x[::4096]); print('ready', flush=True); input()"
PARENT = f"""\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
input()
child.communicate(b"end\\n")
"""


def _watched(program: str) -> Watch:
    """A process, from its start until it says that it is ready."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        with Watch(process.pid) as watch:
            assert process.stdout.readline() == "ready\n"
        process.communicate("end\n")
    return watch


def test_what_a_child_takes_counts() -> None:
    watch = _watched(PARENT)
    assert 60 < watch.mib < 200


def test_pages_of_a_file_are_not_held(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(b"x" * (60 << 20))
    program = (
        f"import mmap; file = open({str(file)!r}, 'rb'); m = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); "
        "sum(m[::4096]); print('ready', flush=True); input()"
    )
    watch = _watched(program)
    assert watch.mib > 60 > watch.held_mib > 1


def test_a_process_that_is_gone_takes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watch = Watch(process.pid)
        process.communicate(b"\n")
        with watch:
            pass
    assert watch.peak == 0


def test_questions_are_mixed_and_the_first_are_not_timed(tmp_path: Path) -> None:
    text = "".join(
        f'def make_thing_{"x" * n}y():\n    """Make the thing in way {n} of many."""\n    a = 1\n    return a\n\n\n'
        for n in range(1, 40)
    )
    asked = questions([Corpus("app", False, {"app/a.py": text})], 30)
    assert len(asked) == 30 + WARM_UP
    assert any("_" in question for question in asked)
    assert any(question.startswith("Make the thing") for question in asked)
    seen: list[str] = []
    took = timed(lambda question, _limit: seen.append(question) or [], asked)
    assert seen == asked
    assert len(took) == 30
    assert told(took).endswith("30 questions")
