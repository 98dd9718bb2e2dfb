"""What all tests share: the list, at the end of a run, of what this machine could not run."""

import os
from collections import Counter

import hypothesis  # early: its plugin would import it at the end of the run, where Python 3.11 can fail on it
import pytest

# CI judges a change, so that it tries the same examples each time; a developer's machine looks for new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run here, and why, once a reason."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    terminalreporter.section("not run on this machine")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} test{'s' if count > 1 else ''}: {reason}")
    if not reasons:
        terminalreporter.line("nothing: every test ran")
