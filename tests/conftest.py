"""In CI a test that cannot run is a failure, not a skip: it says what the machine lacks."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator

import pytest
from tests import ordinary_user


def pytest_configure() -> None:
    """Under nohup, or as a background job of a shell, all that the tests start would ignore the signals sent to it.

    What has a handler here is at its default in what is started (execve(2)).
    """
    for number, handler in ((signal.SIGHUP, lambda _number, _frame: None), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def ordinary_python() -> Iterator[tuple[str, ...]]:
    """How to start Python with estab as uid 65534; its options follow."""
    if not ordinary_user.CAN_GIVE_UP:
        pytest.skip("only root (with setpriv) can become somebody else")
    with ordinary_user.interpreter() as command:
        yield command


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not accept: {call.excinfo and call.excinfo.value}"
    return report
