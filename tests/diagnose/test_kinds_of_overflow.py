"""What a full queue at the server is called: SYN queue, cookies, resets, storm, clamp, starved thread, deferral."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import ErrorOrder, Ghosts, Process, RunResult


def server(cookies: int | None = 0, drops: int | None = 900, **counters: int) -> Any:
    sysctls = {"net.ipv4.tcp_syncookies": None if cookies is None else [cookies]}
    return runs.local(runs.watch(drops=drops), deltas=runs.deltas(**counters), before=runs.snapshot(sysctls=sysctls))


# syn_queue_overflow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (server(), "ruled_out"),
        (server(TCPReqQFullDrop=1, ListenDrops=1), "confirmed"),
        (server(ListenDrops=1), "confirmed"),  # tcp_max_syn_backlog's: ListenDrops alone
        (server(None, ListenDrops=1), "confirmed"),
        (server(1, TCPReqQFullDoCookies=900), "ruled_out"),  # cookies drop nothing
        (server(1, ListenDrops=9), "ruled_out"),
        (server(2, ListenDrops=9), "ruled_out"),
        (server(TCPReqQFullDrop=9, ListenDrops=9, drops=0), "ruled_out"),  # another listener's
        (server(TCPReqQFullDrop=9, ListenDrops=9, drops=None), "possible"),
        (server(TCPReqQFullDrop=9, ListenDrops=17, ListenOverflows=8, drops=9), "confirmed"),
        (server(TCPReqQFullDrop=9, ListenDrops=17, ListenOverflows=8, drops=8), "possible"),
        (server(TCPReqQFullDrop=9, ListenDrops=18, ListenOverflows=9, drops=18), "possible"),
        (runs.remote(), "not_observed"),
        (runs.local(runs.watch(), deltas={"TcpExt.ListenDrops": 4}), "ruled_out"),  # cookies on
    ],
)
def test_syn_queue(end: Any, expected: str) -> None:
    assert alone("syn_queue_overflow", runs.run(server=end)).verdict == expected


@pytest.mark.parametrize(
    ("counters", "works"),
    [({"TCPReqQFullDrop": 9, "ListenDrops": 9}, False), ({"ListenDrops": 9}, True)],
)
def test_tcp_max_syn_backlog_helps_only_where_it_was_full(counters: dict[str, int], works: bool) -> None:
    found = alone("syn_queue_overflow", runs.run(server=server(**counters))).remedies
    raised = next(r for r in found if r.command.startswith("sysctl -w net.ipv4.tcp_max_syn_backlog"))
    assert raised.works is works


def test_the_bound_is_the_kernels_rule() -> None:
    """B=128, M=2048, cookies off: docs/kernel.md's table says 129."""
    found = alone("syn_queue_overflow", runs.run(server=server(TCPReqQFullDrop=1, ListenDrops=1)))
    assert next(e.threshold for e in found.evidence if e.field == "SYN_RECV") == 129


# cookie_reset, abort_on_overflow -----------------------------------------------------------------------------------

FIN_FIRST = [ErrorOrder(order=["EPIPE", "EPIPE", "eof"], count=9)]


def mixed(resets: int, timeouts: int) -> list[Any]:
    return [runs.failure("write", "ECONNRESET", resets), runs.failure("connect", "own_timeout", timeouts)]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.reset_by_cookies(0), "ruled_out"),
        (runs.reset_by_cookies(1), "confirmed"),
        (runs.reset_by_cookies(error_orders=[]), "confirmed"),
        (runs.reset_by_cookies(error_orders=FIN_FIRST), "ruled_out"),  # the server closed: rule 14
        (runs.reset_by_cookies(failures=mixed(20, 20)), "confirmed"),
        (runs.reset_by_cookies(failures=mixed(20, 21)), "possible"),
        (runs.reset_by_cookies(server=runs.local()), "ruled_out"),
        (runs.reset_by_cookies(server=server(1, SyncookiesFailed=5)), "ruled_out"),  # nothing overflowed
        (runs.reset_by_cookies(server=server(0, SyncookiesFailed=5, ListenOverflows=9)), "ruled_out"),
        (runs.reset_by_cookies(server=server(1, SyncookiesFailed=5, ListenOverflows=9)), "confirmed"),
        (runs.reset_by_cookies(server=server(1, ListenOverflows=9)), "ruled_out"),
        (runs.reset_by_cookies(server=runs.local(deltas=None)), "ruled_out"),  # its own drops stand at 0
        (runs.reset_by_cookies(server=runs.local(runs.watch(drops=9), deltas=None)), "possible"),
        (runs.reset_by_cookies(server=runs.remote()), "possible"),
        (runs.reset_by_cookies(server=runs.remote(), error_orders=FIN_FIRST), "ruled_out"),
    ],
)
def test_cookies_that_could_not_be_honoured(run: RunResult, expected: str) -> None:
    assert alone("cookie_reset", run).verdict == expected


def aborting(value: int | None, **counters: int) -> Any:
    sysctls = {"net.ipv4.tcp_abort_on_overflow": None if value is None else [value]}
    return runs.local(runs.watch(drops=9), deltas=runs.deltas(**counters), before=runs.snapshot(sysctls=sysctls))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.aborted(), "confirmed"),
        (runs.aborted(failures=[]), "ruled_out"),
        (runs.aborted(error_orders=FIN_FIRST), "ruled_out"),
        (runs.aborted(failures=mixed(20, 21)), "possible"),
        (runs.aborted(server=aborting(0, EmbryonicRsts=9, ListenOverflows=9)), "ruled_out"),
        (runs.aborted(server=aborting(1, EmbryonicRsts=1, ListenOverflows=1)), "confirmed"),
        (runs.aborted(server=aborting(1, EmbryonicRsts=0, ListenOverflows=9)), "ruled_out"),
        (runs.aborted(server=aborting(1, EmbryonicRsts=9, ListenOverflows=0)), "ruled_out"),
        (runs.aborted(server=aborting(None, EmbryonicRsts=9, ListenOverflows=9)), "not_observed"),
        (runs.aborted(server=runs.remote()), "not_observed"),
    ],
)
def test_resets_by_sysctl(run: RunResult, expected: str) -> None:
    assert alone("abort_on_overflow", run).verdict == expected


# short_connection_storm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.storm(), "confirmed"),
        (runs.storm(1.0), "confirmed"),  # the second SYN leaves at 1 s: too late
        (runs.storm(1.01), "ruled_out"),
        (runs.storm(3.0), "ruled_out"),
        (runs.storm(failures=[]), "ruled_out"),
        (runs.storm().replace(command="hold"), "ruled_out"),
        (runs.storm(server=runs.local()), "ruled_out"),
        (runs.storm(server=runs.remote()), "possible"),
        (runs.healthy_churn(), "ruled_out"),
    ],
)
def test_a_storm_of_short_connections(run: RunResult, expected: str) -> None:
    assert alone("short_connection_storm", run).verdict == expected


def test_a_storms_remedies_are_the_reports() -> None:
    found = alone("short_connection_storm", runs.storm()).remedies
    works = [r.command for r in found if r.works]
    assert works[0].startswith("keep connections open")
    assert works[1].startswith("--timeout 3")
    assert any("somaxconn=" in command for command in works)


# backlog_clamped ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.clamped(129), "confirmed"),
        (runs.clamped(128), "ruled_out"),
        (runs.clamped(127), "ruled_out"),
        (runs.clamped(-1), "confirmed"),  # unsigned in the kernel: huge
        (runs.clamped(None), "confirmed"),  # the limit is exactly somaxconn
        (runs.overflowed(), "ruled_out"),  # below somaxconn: the program's own
        (runs.run(config={"backlog_asked": 1024}), "ruled_out"),  # cut, but never full
        (runs.clamped(1024, server=runs.remote()), "not_observed"),
    ],
)
def test_a_backlog_that_was_cut(run: RunResult, expected: str) -> None:
    assert alone("backlog_clamped", run).verdict == expected


def test_the_clamp_is_no_reason_where_clients_outrun_accept() -> None:
    timeline = [
        runs.point(t / 10, attempted=100 * t, connected=20 * t, accepted=20 * t, queue_depth=129, queue_limit=128)
        for t in range(31)
    ]
    assert alone("backlog_clamped", runs.clamped(timeline=timeline).replace(command="churn")).verdict == "possible"


# accept_thread_starved ---------------------------------------------------------------------------------------------


def owned(name: str, cpu_s: float) -> RunResult:
    """As `starved`, by a server of this name."""
    base = runs.starved(cpu_s)
    processes = [p.replace(name=name) for p in base.server.processes or []]
    return base.replace(server=base.server.replace(processes=processes))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.starved(6.2), "confirmed"),  # 3.1 s on two cores
        (runs.starved(5.6), "confirmed"),
        (runs.starved(5.5), "ruled_out"),
        (runs.starved(0.1), "ruled_out"),
        (owned("python3", 3.0), "confirmed"),  # one interpreter lock: one core is all
        (owned("python3", 2.7), "ruled_out"),
        (owned("app", 3.0), "ruled_out"),
        (runs.overflowed(), "not_observed"),  # CPU not read
        (runs.stalled(), "ruled_out"),  # nothing accepted at all
        (runs.run(), "ruled_out"),
        (runs.run(server=runs.remote()), "not_observed"),
        # All of the CPU, but on accepting: 6.2 s for 45,630 connections.
        (
            runs.starved(6.2).replace(funnel=runs.funnel(46_000, 45_630, accepted=45_000)),
            "ruled_out",
        ),
    ],
)
def test_a_starved_accepting_thread(run: RunResult, expected: str) -> None:
    assert alone("accept_thread_starved", run).verdict == expected


def test_cpu_of_a_process_that_was_not_there_before_is_not_known() -> None:
    base = runs.starved()
    other = [Process(pid=9, name="new", fds=3, nofile_soft=64, cpu_s=99.0)]
    run = base.replace(server=base.server.replace(processes=other))
    assert alone("accept_thread_starved", run).verdict == "not_observed"


# defer_accept_drops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.deferred(), "confirmed"),
        (runs.deferred(0), "ruled_out"),
        (runs.deferred(1), "confirmed"),
        # By design: everybody who spoke was served.
        (runs.run(server=runs.local(runs.watch(drops=50), deltas=runs.deltas(TCPDeferAcceptDrop=50))), "ruled_out"),
        # Another listener's.
        (runs.run(server=runs.local(runs.watch(drops=0), deltas=runs.deltas(TCPDeferAcceptDrop=50))), "ruled_out"),
        # Something broke, but nothing says that it was this.
        (
            runs.healthy_bench(runs.local(runs.watch(drops=50), deltas=runs.deltas(TCPDeferAcceptDrop=50))).replace(
                failures=[runs.failure("read", "own_timeout", 5)]
            ),
            "possible",
        ),
        (runs.deferred(ghosts=Ghosts(count=0, client_established=400, server_established=400)), "ruled_out"),
        (runs.deferred(server=runs.local(deltas={})), "not_observed"),
        (runs.deferred(server=runs.remote()), "not_observed"),
    ],
)
def test_deferred_accept(run: RunResult, expected: str) -> None:
    assert alone("defer_accept_drops", run).verdict == expected
