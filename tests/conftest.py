"""What all tests share: the list, at the end of a run, of what this machine could not run."""

import os
from collections import Counter

import hypothesis  # early: its plugin would import it at the end of the run, where Python 3.11 can fail on it
import pytest
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from support.left_out import LEFT_OUT
from support.workers import hosts_first, scheduling

# CI judges a change, so that it tries the same examples each time; a developer's machine looks for new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Who runs what, where several workers run side by side."""
    return scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In each of several workers: what takes longest first."""
    if hasattr(config, "workerinput"):
        hosts_first(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run here, and why, once a reason: whole tests, and what a test left out and recorded so."""
    reports = [report for of in terminalreporter.stats.values() for report in of if hasattr(report, "longrepr")]
    whole = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reports
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple)
    )
    parts = Counter(
        str(reason)
        for report in reports
        if report.when == "teardown"  # each test has one, which holds all that was recorded
        for name, reason in report.user_properties
        if name == LEFT_OUT
    )
    terminalreporter.section("not run on this machine")
    for reasons, what in ((whole, ""), (parts, "part of ")):
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{what}{count} test{'s' if count > 1 else ''}: {reason}")
    if not whole and not parts:
        terminalreporter.line("nothing: every test ran")
