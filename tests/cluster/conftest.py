"""One story on one stage, told once: what every test of real hosts looks at."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cluster import hosts
from tests.cluster.hosts import BEHIND_THE_TABLE, SCHEDULER, TARGET, Done, Stage
from tests.namespaces import in_namespace, until

TABLE = 4_000
AT_WORK_S = 60.0


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """What each command of the story came to. Nothing is left running on any host between two of them."""
    return in_namespace(lambda: _tell(tmp_path_factory.mktemp("cluster")), timeout_s=400)


def _tell(folder: Path) -> dict[str, Done]:
    hosts.load_dask()
    with hosts.stage(folder, flows=TABLE) as stage:
        hosts.serve(stage)
        hosts.dask(stage)
        told = {}
        for name, chapter in CHAPTERS.items():
            told[name] = chapter(stage)
            until(stage.nothing_generates, why=f"nothing generates after {name}")
        return told


def _hold(stage: Stage, target: str, *more: str) -> Done:
    # Closed by RST: no TIME_WAIT of one chapter takes the few ports of the next.
    return stage.estab("hold", target, "--cluster", SCHEDULER, "--json", "-", "--reset", *more)


def _at_work(stage: Stage, *more: str) -> None:
    """A load of 200 on each client's host, once the command shows all of it: those that are killed leave TIME_WAIT."""
    load = ("hold", TARGET, "-n", "400", "--reset", "--cluster", SCHEDULER, "--json", "-", *more)
    stage.begin_and_watch("400 open", *load, within_s=AT_WORK_S)


def _interrupted(stage: Stage) -> Done:
    _at_work(stage, "-d", "60")
    stage.processes["estab"].send_signal(signal.SIGINT)
    return stage.done()


def _command_killed(stage: Stage) -> Done:
    _at_work(stage, "-d", "60")
    stage.processes["estab"].kill()
    return stage.done()


def _worker_killed(stage: Stage) -> Done:
    _at_work(stage, "-d", "4")
    os.kill(hosts.dask_worker(stage, "a"), signal.SIGKILL)
    done = stage.done()
    until(lambda: stage.said("scheduler").count("Register worker") == 4, within_s=60, why="the nanny has a new worker")
    return done


def _scheduler_killed(stage: Stage) -> Done:
    _at_work(stage, "-d", "60")
    stage.processes["scheduler"].kill()
    return stage.done()


CHAPTERS: dict[str, Callable[[Stage], Done]] = {
    "check": lambda stage: stage.estab("cluster", "check", SCHEDULER, "--json", "-"),
    "two clients": lambda stage: _hold(stage, TARGET, "-n", "6000", "-d", "300ms"),
    "bench": lambda stage: stage.estab(
        "bench", TARGET, "--cluster", SCHEDULER, "--json", "-", "-c", "40", "-d", "500ms"
    ),
    # As many at a time as the wire's buffer takes where nobody may raise it: none is lost but for the table.
    "table": lambda stage: _hold(
        stage, BEHIND_THE_TABLE, "-n", "4600", "-d", "100ms", "--timeout", "1300ms", "--in-flight", "400"
    ),
    "report": lambda stage: stage.estab("churn", TARGET, "--cluster", SCHEDULER, "-n", "20", "-d", "1", "-v"),
    "interrupted": _interrupted,
    "command killed": _command_killed,
    "worker killed": _worker_killed,
    "scheduler killed": _scheduler_killed,
}
