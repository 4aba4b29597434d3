"""What plays in real time on a machine that others use may be disturbed: such a test has three attempts.

The summary lists each test that needed more than one. A test of rules, verdicts, parsers or records has one attempt.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

ATTEMPTS = 3
# Directories whose tests wait for nothing, but for those marked `namespace`.
_ONE_ATTEMPT = ("compare", "diagnose", "kernel", "records", "report")
_ATTEMPT = pytest.StashKey[int]()


def attempt(item: pytest.Item) -> int:
    """Which attempt of this test runs: 1 is the first. What tests share is made anew for a later one."""
    return item.stash.get(_ATTEMPT, 1)


def in_real_time(item: pytest.Item) -> bool:
    """Whether a test may be disturbed by what else runs on the machine."""
    return _directory(item.path) not in _ONE_ATTEMPT or item.get_closest_marker("namespace") is not None


@functools.cache
def _directory(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).parts[0]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test until it passes or has no attempt left; what failed before that is reported as "again"."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    attempts = ATTEMPTS if in_real_time(item) else 1
    for number in range(1, attempts + 1):
        item.stash[_ATTEMPT] = number
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        last = number == attempts or not any(report.failed for report in reports)
        for report in reports:
            if report.failed and not last:
                report.outcome = "again"  # type: ignore[assignment]
            item.ihook.pytest_runtest_logreport(report=report)
        if last:
            break
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """How an attempt that failed is shown."""
    return ("again", "A", "AGAIN") if report.outcome == "again" else None  # type: ignore[comparison-overlap]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each attempt that failed and was followed by another, with its error."""
    reports = terminalreporter.getreports("again")
    if reports:
        terminalreporter.section("needed another attempt")
    for report in reports:
        errors = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
        terminalreporter.line(f"{report.nodeid}: {errors[0][2:].strip() if errors else report.longreprtext[-200:]}")
