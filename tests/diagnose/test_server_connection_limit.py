"""A program that keeps so many connections and closes what comes beyond; and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import ArrivalOrder, Failure, Ghosts, Listener, Process, RunResult, ServerSide


def owner(name: str = "nginx", fds: int = 160, soft: int | None = 1024) -> Process:
    return Process(pid=4321, name=name, fds=fds, nofile_soft=soft)


def server(**fields: object) -> ServerSide:
    return runs.local(runs.watch(accepted_at_end=150), **fields)


def by_reset(sent: int) -> RunResult:
    return runs.over_its_limit(
        failures=[runs.failure("read", "ECONNRESET", 250)],
        timeline=[point.replace(failures={"read ECONNRESET": 250}) for point in runs.kept_timeline(150, 250)],
        server=server(deltas=runs.deltas(Tcp_OutRsts=sent)),
    )


def ghosts_among(count: int, share: float, closed_at_s: float = 0.1) -> RunResult:
    """So many of the 150 that stayed the client alone holds."""
    ghosts = Ghosts(count=count, client_established=150, server_established=150 - count)
    timeline = runs.kept_timeline(150, 250, closed_at_s=closed_at_s)
    return runs.over_its_limit(ghosts=ghosts, arrival_order=runs.in_order(150, 250, share), timeline=timeline)


def late_first_point(closed_at_s: float) -> RunResult:
    failure = runs.failure("read", "eof", 250, closed_at_s).replace(last_s=closed_at_s)
    return runs.over_its_limit(
        failures=[failure], timeline=[p for p in runs.kept_timeline(150, 250, closed_at_s) if p.t_s > 1.0]
    )


def lost_a_process() -> RunResult:
    """One of two that listen together ends, and its connections with it."""

    def listening(*owners: Process) -> runs.Snapshot:
        at = Listener(family=4, address="127.0.0.1", port=5000, depth=0, limit=128, owners=list(owners))
        return runs.snapshot(listeners=[at])

    both = (owner(), owner().replace(pid=4322))
    return runs.over_its_limit(server=server(before=listening(*both), after=listening(both[0])))


def few_at_first(fewest: int, processes: int) -> RunResult:
    """Some were closed when only so few were open, and 150 were in the end, at a program of so many processes."""
    points = runs.kept_timeline(150, 250)
    points[1] = points[1].replace(open=fewest)
    order, owners = runs.in_order(150, 250, 0.6), [owner() for _ in range(processes)]
    return runs.over_its_limit(timeline=points, arrival_order=order, server=server(processes=owners))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.over_its_limit(), "confirmed"),
        (runs.over_its_limit(385, 15), "ruled_out"),  # one in 27
        (runs.over_its_limit(380, 20), "confirmed"),
        (runs.over_its_limit(0, 400), "ruled_out"),  # none stays: a number of connections decides nothing
        (runs.over_its_limit(timeline=runs.kept_timeline(150, 250, closed_at_s=0.6)), "confirmed"),
        (runs.over_its_limit(timeline=runs.kept_timeline(150, 250, closed_at_s=0.7)), "ruled_out"),  # old or idle
        (runs.over_its_limit(timeline=runs.kept_timeline(150, 250, seconds=1.1)), "confirmed"),
        (runs.over_its_limit(timeline=runs.kept_timeline(150, 250, seconds=1.0)), "possible"),
        # The first point came after all had been closed, a second after they began.
        (late_first_point(0.5), "confirmed"),
        (late_first_point(0.51), "ruled_out"),
        # What it waited for accept() at a server that is not seen is no time that it lived.
        (runs.over_its_limit(timeline=runs.kept_timeline(150, 250, closed_at_s=0.7), server=runs.remote()), "possible"),
        # What the client alone holds may have come first or last: of the others 4 in 5 must be in order at least.
        (ghosts_among(100, share=1.0), "confirmed"),
        (ghosts_among(100, share=0.94), "confirmed"),
        (ghosts_among(100, share=0.93), "possible"),
        # What reached the server late was open at the client before.
        (ghosts_among(20, share=1.0, closed_at_s=0.6), "confirmed"),
        (ghosts_among(20, share=1.0, closed_at_s=0.7), "possible"),
        (ghosts_among(150, share=1.0), "ruled_out"),  # then none stays
        # Both ends were counted while what the server had closed was not yet closed at the client.
        (runs.over_its_limit(ghosts=Ghosts(count=250, client_established=400, server_established=150)), "confirmed"),
        (runs.over_its_limit(server=server(processes=[owner(fds=1023)])), "ruled_out"),  # accept() and a file beside
        (runs.over_its_limit(timeline=[]), "not_observed"),
        (runs.over_its_limit().replace(command="churn"), "not_observed"),
        (runs.over_its_limit(server=runs.remote()), "possible"),
        (runs.over_its_limit(server=server(processes=None)), "possible"),
        (runs.over_its_limit(server=server(processes=[owner(fds=1024)])), "ruled_out"),  # libuv at its last descriptor
        (by_reset(250), "confirmed"),
        (by_reset(249), "possible"),  # somebody between reset them
        (lost_a_process(), "possible"),
        # A proxy, of whose backends one closes all.
        (runs.over_its_limit(server=server(deltas=runs.deltas(Tcp_ActiveOpens=649))), "confirmed"),
        (runs.over_its_limit(server=server(deltas=runs.deltas(Tcp_ActiveOpens=650))), "possible"),
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.5)), "ruled_out"),  # each n-th, or by chance
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.25)), "ruled_out"),
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.75)), "ruled_out"),
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.79)), "possible"),
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.8)), "confirmed"),  # threads that accept at once
        (runs.over_its_limit(arrival_order=runs.in_order(10, 30, 0.83)), "confirmed"),
        (runs.over_its_limit(arrival_order=runs.in_order(10, 5, 0.5)), "possible"),  # too few
        # Of several processes one may be full while another has room.
        (
            runs.over_its_limit(
                arrival_order=runs.in_order(150, 250, 0.6), server=server(processes=[owner(), owner()])
            ),
            "possible",
        ),
        (few_at_first(75, processes=2), "possible"),
        (few_at_first(60, processes=2), "ruled_out"),  # not even half of them
        (few_at_first(75, processes=1), "ruled_out"),
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.9)), "confirmed"),
        (runs.over_its_limit(arrival_order=runs.in_order(150, 250, 0.0)), "confirmed"),  # the oldest are ended
        (runs.over_its_limit(arrival_order=runs.in_order(3, 3)), "possible"),  # by chance in one of twenty
        (runs.over_its_limit(arrival_order=runs.in_order(12, 3)), "confirmed"),
        (runs.over_its_limit(arrival_order=None), "possible"),  # an older record
        (
            runs.over_its_limit(arrival_order=ArrivalOrder(stayed=-9, failed=2, pairs=9, in_order=9)),
            "possible",
        ),  # damaged
        (runs.over_its_limit(arrival_order=None, config={"connections": 400, "ramp_per_s": 100.0}), "confirmed"),
        (runs.run(), "ruled_out"),
        (runs.healthy_bench(), "ruled_out"),
    ],
)
def test_what_is_closed_for_being_one_too_many(run: RunResult, expected: str) -> None:
    assert alone("server_connection_limit", run).verdict == expected


@pytest.mark.parametrize(("last_s", "expected"), [(0.3, "confirmed"), (0.8, "ruled_out"), (None, "ruled_out")])
def test_the_last_that_ended_tells_more_than_moments_a_second_apart(last_s: float | None, expected: str) -> None:
    """A busy machine, of which nothing was seen from 0.1 to 1.2 s."""
    timeline = [point for point in runs.kept_timeline(150, 250, closed_at_s=0.2) if not 0.1 < point.t_s < 1.2]
    ended = runs.failure("read", "eof", 250).replace(last_s=last_s)
    run = runs.over_its_limit(failures=[ended], timeline=timeline)
    assert alone("server_connection_limit", run).verdict == expected


def test_a_load_that_grows_shows_that_no_number_decided() -> None:
    """Some were closed when 40 were open, and later 150 were."""
    early = runs.point(0.1, attempted=50, connected=50, open=40, failed=10, failures={"read eof": 10})
    run = runs.over_its_limit(timeline=[early, *runs.kept_timeline(150, 250, closed_at_s=0.2)[1:]])
    suspect = alone("server_connection_limit", run)
    assert suspect.verdict == "ruled_out"
    assert "closed when 40 were open" in suspect.summary


def test_who_said_why_had_a_limit_of_its_own_at_its_last_descriptor_too() -> None:
    """memcached sets its limit of descriptors from -c."""
    full = server(processes=[owner("memcached", 1024)])
    funnel = runs.funnel(400, 400, accepted=None, completed=150, first_byte=250)
    assert judge(runs.over_its_limit(server=full)).cause == "server_open_files"
    assert judge(runs.over_its_limit(server=full, funnel=funnel)).cause == "server_connection_limit"


def told(words: str, **fields: object) -> RunResult:
    reply = Failure(phase="read", errno="wrong_bytes", count=28, first_bytes=words)
    return runs.run("bench", failures=[reply], funnel=runs.funnel(40, 40, completed=12), **fields)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-ERR max number of clients reac", "confirmed"),
        ("ERROR Too many open connections", "confirmed"),
        ("421\\r\\n", "confirmed"),
        ("421 4.3.2 Too many connections", "confirmed"),
        (r"E\x00\x00\x00aSFATAL\x00VFATAL\x00C53300", "confirmed"),
        (r"\x17\x00\x00\x00\xff\x10\x04#08004Too many", "confirmed"),
        ("-ERR unknown command", "ruled_out"),
        ("HTTP/1.1 400 Bad Request", "ruled_out"),
        ("4210 is no reply code", "ruled_out"),
    ],
)
def test_what_the_program_says_of_it(words: str, expected: str) -> None:
    assert alone("server_connection_limit", told(words)).verdict == expected


def test_words_alone_leave_open_whose_they_are() -> None:
    suspect = alone("server_connection_limit", told("-ERR max number of clients reached", server=runs.remote()))
    assert suspect.verdict == "possible"
    assert "max number of clients" in suspect.summary


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("redis-server", "CONFIG SET maxclients 512"),
        ("memcached", "memcached -c 512"),
        ("node", "server.maxConnections = 512"),
        ("nginx", "worker_connections 512;"),
        ("postgres", "max_connections = 512"),
        ("apache2", "MaxRequestWorkers 512"),
        ("php-fpm8.2", "pm.max_children = 512"),
        ("gunicorn", "--worker-connections 512"),
        ("its-own", "in the program's own settings: 512"),
    ],
)
def test_the_setting_is_that_of_the_program(name: str, setting: str) -> None:
    suspect = alone("server_connection_limit", runs.over_its_limit(server=server(processes=[owner(name)])))
    assert setting in suspect.remedies[0].command
    assert suspect.remedies[0].works
    assert {remedy.command for remedy in suspect.remedies if not remedy.works} >= {"ulimit -n 65536, LimitNOFILE=65536"}


@pytest.mark.parametrize(("soft", "first"), [(182, "LimitNOFILE=544"), (183, "redis-cli")])
def test_redis_takes_what_its_descriptors_allow(soft: int, first: str) -> None:
    full = server(processes=[owner("redis-server", 160, soft)])
    assert alone("server_connection_limit", runs.over_its_limit(server=full)).remedies[0].command.startswith(first)


@pytest.mark.parametrize("healthy", [runs.run, runs.healthy_bench, runs.healthy_churn])
def test_nobody_is_accused_in_health(healthy: Callable[[], RunResult]) -> None:
    assert alone("server_connection_limit", healthy()).verdict == "ruled_out"
