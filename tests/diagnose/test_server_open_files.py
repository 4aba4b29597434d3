from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.suspects import server_open_files
from estab.records import Process, ServiceName


def owner(fds: int | None, soft: int | None = 64) -> list[Process]:
    return [Process(pid=9, name="python3", fds=fds, nofile_soft=soft)]


WAITING = {"worst_depth": 20, "last_depth": 20, "queued_at_end": 20}
NOT_WAITING = {"worst_depth": 0, "last_depth": 0, "queued_at_end": 0}
TIMED_OUT = [runs.failure("connect", "own_timeout", 50)]


@pytest.mark.parametrize(
    ("processes", "queue", "failures", "expected"),
    [
        (owner(63), WAITING, TIMED_OUT, "ruled_out"),
        (owner(64), WAITING, TIMED_OUT, "confirmed"),
        (owner(65), WAITING, TIMED_OUT, "confirmed"),  # numbers that were inherited can stand above the limit
        (owner(64), WAITING, [], "confirmed"),
        (owner(64), NOT_WAITING, [], "ruled_out"),
        (owner(64), NOT_WAITING, TIMED_OUT, "possible"),
        (owner(64), NOT_WAITING, [runs.failure("read", "eof", 40)], "confirmed"),  # libuv: accept, close
        (owner(63), NOT_WAITING, [runs.failure("read", "eof", 40)], "confirmed"),  # mosquitto: /etc/hosts.allow beside
        (owner(62), NOT_WAITING, [runs.failure("read", "eof", 40)], "ruled_out"),
        # One that is full among several that accept does not leave connections waiting, but at its limit it is.
        ([*owner(10), *owner(64)], WAITING, TIMED_OUT, "confirmed"),
        # Not read: another user's /proc/PID/fd.
        (owner(None), {**WAITING, "worst_depth": 129}, TIMED_OUT, "possible"),
        (None, {**WAITING, "worst_depth": 129}, TIMED_OUT, "possible"),
        (None, {**WAITING, "worst_depth": 129}, [], "not_observed"),
        (None, NOT_WAITING, TIMED_OUT, "not_observed"),
        (owner(64, None), NOT_WAITING, [], "not_observed"),
    ],
)
def test_the_servers_descriptors(
    processes: list[Process] | None, queue: dict[str, object], failures: list[runs.Failure], expected: str
) -> None:
    server = runs.local(runs.watch(**queue), processes=processes)
    assert alone("server_open_files", runs.run(server=server, failures=failures)).verdict == expected


@pytest.mark.parametrize(("depth", "expected"), [(3, "confirmed"), (0, "ruled_out")])
def test_samples_that_hold_both_figures_decide(depth: int, expected: str) -> None:
    """A depth that was seen at another moment than the last descriptor is no evidence."""
    timeline = [runs.point(0.1, server_fds=30, queue_depth=9), runs.point(0.2, server_fds=64, queue_depth=depth)]
    server = runs.local(runs.watch(worst_depth=9), processes=owner(64))
    assert alone("server_open_files", runs.run(server=server, timeline=timeline)).verdict == expected


@pytest.mark.parametrize("errno", ["EMFILE", "ENFILE"])
def test_an_embedded_servers_accept_tells_it_itself(errno: str) -> None:
    run = runs.run(server=runs.embedded(), failures=[runs.failure("accept", errno, 1)])
    suspect = alone("server_open_files", run)
    assert suspect.verdict == "confirmed"
    assert ("fs.file-max" in suspect.remedies[0].command) == (errno == "ENFILE")


def test_an_embedded_servers_workers_are_read() -> None:
    workers = [runs.Worker(pid=7, role="server", nofile_soft=64, worst_fds=64)]
    server = runs.embedded(runs.watch(**WAITING), workers=workers)
    assert alone("server_open_files", runs.run(server=server)).verdict == "confirmed"


@pytest.mark.parametrize(
    ("failures", "expected"),
    [([], "not_observed"), (TIMED_OUT, "possible"), ([runs.failure("read", "eof", 9)], "not_observed")],
)
def test_a_remote_server(failures: list[runs.Failure], expected: str) -> None:
    assert alone("server_open_files", runs.run(server=runs.remote(), failures=failures)).verdict == expected


def test_server_remedies() -> None:
    found = {r.command: r.works for r in alone("server_open_files", runs.server_without_descriptors()).remedies}
    assert found["prlimit --pid 4321 --nofile=1024:1024"]
    assert not found["sysctl -w fs.file-max=2097152"]
    assert not found["a bigger backlog, sysctl -w net.core.somaxconn=65535"]


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("server_open_files", runs.run()).verdict == "ruled_out"


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (None, "LimitNOFILE=1024   # [Service] of its unit"),
        (ServiceName(unit="nginx.service"), "LimitNOFILE=1024   # [Service] of nginx.service"),
        (
            ServiceName(unit="docker-1.scope", container="web"),
            "docker run --ulimit nofile=1024:1024 ...   # container web,",
        ),
        (ServiceName(container="web", pod="default/web-0"), "LimitNOFILE=1024   # [Service] of the container runtime"),
    ],
)
def test_what_lasts_is_set_where_the_process_has_it_from(service: ServiceName | None, expected: str) -> None:
    owners = [Process(pid=9, name="python3", fds=64, nofile_soft=64, service=service)]
    remedies = server_open_files.remedies(runs.run(server=runs.local(runs.watch(**WAITING), processes=owners)))
    assert [remedy.command for remedy in remedies if remedy.command.startswith(expected)]


def test_a_remote_server_that_answered_each_had_a_descriptor_for_it() -> None:
    answered = runs.funnel(first_byte=400)
    late = [runs.failure("read", "own_timeout", 9)]
    run = runs.run(server=runs.remote(), failures=late, funnel=answered)
    assert alone("server_open_files", run).verdict == "ruled_out"
    assert alone("server_open_files", run.replace(funnel=runs.funnel(first_byte=399))).verdict == "possible"
