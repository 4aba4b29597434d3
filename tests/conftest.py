"""What holds for all tests: a worker of `pytest -n` has a network of its own, and in CI a skip is a failure."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests import huge_pages, namespaces, ordinary_user

pytest_plugins = ["tests.again"]

# How long an example takes says how busy the machine is.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

# Eight thousand tests and what they import stay to the end: to look through them for garbage again and again is dear.
gc.disable()  # until all are collected
gc.set_threshold(200_000)


def pytest_configure(config: pytest.Config) -> None:
    """What holds for the process that runs the tests."""
    _leave_estab_as_it_is(config)
    _heed_signals()


def _leave_estab_as_it_is(config: pytest.Config) -> None:
    """Pytest would rewrite the asserts of all of estab, for its plugin: once installed anew, 4 s in each worker."""
    hook = config.pluginmanager.rewrite_hook
    getattr(hook, "_must_rewrite", set()).discard("estab")
    hook.mark_rewrite()  # it forgets what it has looked up


def _heed_signals() -> None:
    """Under nohup, or as a background job of a shell, all that the tests start would ignore the signals sent to it.

    What has a handler here is at its default in what is started (execve(2)).
    """
    for number, handler in ((signal.SIGHUP, lambda _number, _frame: None), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Start each worker in a network namespace of its own: no test counts what those of another worker do."""
    for spec in specs:
        spec.python = f"{sys.executable} {namespaces.__file__} {sys.executable}"


# The groups that take longest: begun first, for a worker that comes to one last keeps the others waiting.
_LONGEST = (
    "played",
    "story",
    "long_checks",
    "test_twin_causes",
    "test_twin",
    "test_command_lines",
    "test_killed",
    "pages",
)


_AT_A_TIME = 4  # tests that share nothing


def _waits_for_nothing(item: pytest.Item) -> bool:
    from tests.again import in_real_time  # once pytest has loaded it as a plugin

    return not in_real_time(item)


def _group(item: pytest.Function) -> str | None:
    """The tests that one worker runs, for they share what is made once: named after a fixture, or after the file.

    Of several fixtures the one counts that takes longest. A file may name its group itself. What waits for nothing is
    dealt out by the file, and what shares nothing by a few: to deal out thousands of tests one by one is dear.
    """
    if marked := item.get_closest_marker("xdist_group"):
        return str(marked.args[0])
    shared = [
        item.path.stem if definition.scope == "module" else definition.argname
        for definitions in item._fixtureinfo.name2fixturedefs.values()
        for definition in definitions
        if definition.baseid.startswith("tests") and definition.scope != "function"
    ]
    if not shared and _waits_for_nothing(item):
        return item.path.stem
    return next((name for name in _LONGEST if name in shared), shared[0] if shared else None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Groups for `pytest -n … --dist loadgroup`, the longest first; in one process the order stays as it is.

    What waits for nothing comes last: it leaves no core idle while the last workers end.
    """
    if not hasattr(config, "workerinput"):
        return
    groups = {item: _group(item) for item in items}
    single = [item for item, group in groups.items() if group is None]
    for place, item in enumerate(single):
        groups[item] = f"{item.path.stem}-{place // _AT_A_TIME}"
    for item, group in groups.items():
        if group and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(group))
    longest = {name: place for place, name in enumerate(_LONGEST)}
    grouped, by_a_few, waits_for_nothing = range(len(longest), len(longest) + 3)
    few = set(single)
    items.sort(
        key=lambda item: longest[group] if (group := groups[item]) in longest
        else waits_for_nothing if _waits_for_nothing(item)
        else by_a_few if item in few else grouped
    )  # fmt: skip


def pytest_collection_finish() -> None:
    """What was collected is no garbage; nor is it looked through in a forked child, which would copy its pages.

    Nor are its pages copied one by one with each fork.
    """
    if forked := sys.modules.get("tests.forked"):
        forked.warm()
        forked.fork_the_lab()
    gc.freeze()
    gc.enable()
    huge_pages.collapse()


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
