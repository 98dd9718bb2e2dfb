"""Every task, with its bar."""

from typing import Final

from bench.search.tasks import changes, docstrings, symbols, tests
from bench.search.tasks.task import Task

_AS_GOOD: Final = "≥ 1 ×"
_BETTER: Final = "≥ 1.01 ×"
"""Figures are judged with two decimals: the least that is more than one."""

TASKS: Final = (
    Task(name="changelog line → file", ask=changes.ask, measure="MRR", bar=_BETTER, by_file=True),
    # Few projects have test files that say what they are about.
    Task(name="test name → file", ask=tests.ask, measure="MRR", bar=_AS_GOOD, by_file=True, per_project=150),
    Task(name="comment → function", ask=docstrings.ask, measure="hit@5", bar=_BETTER),
    Task(name="name as words → definition", ask=symbols.ask_words, measure="hit@5", bar=_AS_GOOD),
    Task(name="name → definition", ask=symbols.ask_names, measure="hit@1", bar=_AS_GOOD),
)
