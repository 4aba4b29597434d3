"""The pytest plugin: load a server from a test, and fail with the verdict where it does not hold.

    def test_backlog_holds(estab):
        run = estab.hold("127.0.0.1:8080", connections=400)
        estab.assert_healthy(run)

`--estab-json DIR` keeps the runs of failing tests, for `estab diagnose` and `estab compare`. Nothing of estab but this
file is imported before a test asks for the fixture.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from estab.api.program import Watching
    from estab.records import RunResult

_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --estab-json."""
    group = parser.getgroup("estab", "estab: TCP servers under load")
    group.addoption(
        "--estab-json", metavar="DIR", default=None, help="keep the estab runs of failing tests in DIR, a file a run"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers that a test failed, so that its runs are kept."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def estab(request: pytest.FixtureRequest) -> Generator[Estab, None, None]:
    """Loads servers from a test: `hold`, `bench`, `churn`, and `assert_healthy` on what they return."""
    probe = Estab()
    yield probe
    folder = request.config.getoption("--estab-json")
    if folder is not None and request.node.stash.get(_FAILED, False):
        probe.save(Path(folder), request.node.nodeid)


class Estab:
    """What the fixture `estab` gives: the library, of which `hold`, `bench`, `churn` and `watching` keep their runs.

    `runs` are those of this test, in order. Everything else of `import estab`, as `estab.LoadOptions`, is there too.
    """

    def __init__(self) -> None:
        self.runs: list[RunResult] = []

    def __getattr__(self, name: str) -> Any:
        import estab as library

        return getattr(library, name)

    def hold(
        self,
        target: str | None = None,
        *,
        connections: int = 400,
        duration_s: float = 0.5,
        at_once: bool = True,
        **more: Any,
    ) -> RunResult:
        """Opens `connections` to "HOST:PORT", all at once unless told otherwise, and holds them `duration_s` seconds.

        `more` are the other arguments of `estab.hold`. Raises what that raises.
        """
        from estab import hold

        if at_once:
            more.setdefault("in_flight", connections)
        return self._kept(hold(target, connections=connections, duration_s=duration_s, **more))

    def bench(
        self, target: str | None = None, *, connections: int = 100, duration_s: float = 1.0, **more: Any
    ) -> RunResult:
        """Asks an echo server for `duration_s` seconds. `more` are the other arguments of `estab.bench`."""
        from estab import bench

        return self._kept(bench(target, connections=connections, duration_s=duration_s, **more))

    def churn(
        self, target: str | None = None, *, connections: int = 100, duration_s: float = 1.0, **more: Any
    ) -> RunResult:
        """Connects and closes in a loop for `duration_s` seconds. `more` are the other arguments of `estab.churn`."""
        from estab import churn

        return self._kept(churn(target, connections=connections, duration_s=duration_s, **more))

    @contextlib.contextmanager
    def watching(self, *, port: int | None = None, pid: int | None = None) -> Generator[Watching, None, None]:
        """Watches who listens on `port`, or the process `pid`, while the block lasts; its `run` is kept then.

        For tests that bring their own client: nothing is loaded. Raises what `estab.watching` raises.
        """
        from estab import watching

        with watching(port=port, pid=pid) as seen:
            yield seen
        self._kept(seen.run)

    def assert_healthy(self, run: RunResult) -> None:
        """`assert_healthy` below, so that a test need not import it."""
        __tracebackhide__ = True
        assert_healthy(run)

    def save(self, folder: Path, test: str) -> list[Path]:
        """Writes the runs as JSON, named after the test. Returns the files."""
        from estab import save_run

        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^\w.-]+", "-", test).strip("-")[-150:]
        files = [folder / f"{stem}-{number}.json" for number in range(1, len(self.runs) + 1)]
        for run, file in zip(self.runs, files, strict=True):
            save_run(run, file)
        return files

    def _kept(self, run: RunResult) -> RunResult:
        self.runs.append(run)
        return run


def assert_healthy(run: RunResult) -> None:
    """Fails the test with the verdict, its evidence and its remedies where something went wrong in `run`.

    Wrong is: a connection failed, the judge named a cause, a worker process was lost, or the run was interrupted.
    """
    __tracebackhide__ = True
    from estab.report.failure import failure_text, faults

    if wrong := faults(run):
        pytest.fail(failure_text(run, wrong), pytrace=False)


__all__: Sequence[str] = ("Estab", "assert_healthy", "estab")
