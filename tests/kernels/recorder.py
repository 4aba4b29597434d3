"""A plugin of pytest for guests: what came of each test is a line of JSON, at once."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

FILE = "ESTAB_TESTS_OVER"  # the variable that names the file
_attempts: dict[str, int] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """`again` is what tests/again.py calls an attempt that another follows."""
    if report.outcome == "again":  # type: ignore[comparison-overlap]
        _attempts[report.nodeid] = _attempts.get(report.nodeid, 1) + 1
    elif report.when == "call" or report.outcome != "passed":
        attempts = _attempts.get(report.nodeid, 1)
        test = {"id": report.nodeid, "outcome": report.outcome, "why": _why(report), "attempts": attempts}
        say(os.environ[FILE], {"test": test})


def say(file: str, row: dict[str, Any]) -> None:
    """Append a line."""
    with open(file, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def _why(report: pytest.TestReport) -> str:
    """A failure's error, a skip's reason."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    errors = [line[2:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
    # Of a test that failed in a child, what was raised there.
    raised = [line for line in errors if line.partition(":")[0].endswith("Error")]
    return (raised or errors or [""])[-1 if raised else 0] if report.failed else ""
