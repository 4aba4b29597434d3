from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import RunResult

NONE_FREE = [runs.failure("connect", "EADDRNOTAVAIL", 90)]


def verdicts(run: RunResult) -> tuple[str, str]:
    return alone("ephemeral_port_exhaustion", run).verdict, alone("time_wait_port_exhaustion", run).verdict


def with_ports(connections: int | None = 500, failures: object = NONE_FREE, **use: object) -> RunResult:
    values = {"used": 100, "worst_source_used": 100, "capacity": 100, **use}
    return runs.run(config={"connections": connections}, failures=failures, client={"port_use": runs.ports(**values)})


@pytest.mark.parametrize(
    ("run", "ephemeral", "time_wait"),
    [
        (with_ports(failures=[]), "ruled_out", "ruled_out"),
        (with_ports(time_wait=0), "confirmed", "ruled_out"),
        (with_ports(time_wait=49), "confirmed", "ruled_out"),
        (with_ports(time_wait=50), "ruled_out", "confirmed"),
        (with_ports(time_wait=100), "ruled_out", "confirmed"),
        # What was asked for would have fitted: the few in TIME_WAIT are to blame.
        (with_ports(connections=100, time_wait=1), "ruled_out", "confirmed"),
        (with_ports(connections=101, time_wait=1), "confirmed", "ruled_out"),
        # The range was not seen full.
        (with_ports(worst_source_used=90), "confirmed", "ruled_out"),
        (with_ports(worst_source_used=89, used=89), "possible", "ruled_out"),
        (with_ports(worst_source_used=89, used=89, time_wait=80), "possible", "possible"),
        (with_ports(worst_source_used=89, used=89, bound=11), "confirmed", "ruled_out"),
        # Several source addresses: the fullest counts.
        (with_ports(sources=4, used=250, worst_source_used=100), "confirmed", "ruled_out"),
        (with_ports(sources=4, used=250, worst_source_used=None), "possible", "ruled_out"),
        # Not read.
        (with_ports(capacity=None), "possible", "ruled_out"),
        (with_ports(capacity=None, time_wait=90), "possible", "possible"),
        (runs.run(failures=NONE_FREE, client={"port_use": None}), "possible", "possible"),
        (with_ports(failures=[runs.failure("connect", "EADDRINUSE", 4)]), "confirmed", "ruled_out"),
        (with_ports(failures=[runs.failure("connect", "ETIMEDOUT", 4)]), "ruled_out", "ruled_out"),
    ],
)
def test_ports_by_who_holds_them(run: RunResult, ephemeral: str, time_wait: str) -> None:
    assert verdicts(run) == (ephemeral, time_wait)


def test_the_time_wait_that_hold_leaves_behind_came_after_its_failures() -> None:
    assert verdicts(runs.range_full()) == ("confirmed", "ruled_out")


def test_time_wait_towards_others_is_not_blamed() -> None:
    """The timeline counts the whole namespace's: 4,000 of another program's are none of this target's."""
    timeline = [runs.point(0.1, attempted=20, connected=10, failed=10, open=10, time_wait=4000)]
    assert verdicts(runs.range_full(timeline=timeline)) == ("confirmed", "ruled_out")


def test_failures_before_the_first_sample_count() -> None:
    timeline = [runs.point(0.1, attempted=50, connected=10, failed=40, time_wait=10)]
    assert verdicts(runs.churned_out(timeline=timeline)) == ("ruled_out", "confirmed")


def test_churn_in_ten_ports() -> None:
    assert verdicts(runs.churned_out()) == ("ruled_out", "confirmed")


def remedy(reuse: int, *, address: str = "127.0.0.1", kernel: str = "6.1.0", **sysctls: object) -> tuple[str, bool]:
    before = runs.snapshot(
        sysctls={"net.ipv4.tcp_tw_reuse": [reuse], **{f"net.ipv4.{k}": v for k, v in sysctls.items()}},
        host=runs.HOST.replace(kernel=kernel),
    )
    use = runs.ports(address=address, used=10, worst_source_used=10, time_wait=10, capacity=10)
    run = runs.run("churn", failures=NONE_FREE, client={"port_use": use, "before": before})
    found = next(r for r in alone("time_wait_port_exhaustion", run).remedies if "tcp_tw_reuse" in r.command)
    return found.command, found.works


@pytest.mark.parametrize(
    ("found", "command", "works"),
    [
        (remedy(0), "sysctl -w net.ipv4.tcp_tw_reuse=1   # on the client", True),
        (remedy(2, address="192.0.2.7"), "sysctl -w net.ipv4.tcp_tw_reuse=1   # on the client", True),
        (remedy(2), "sysctl -w net.ipv4.tcp_tw_reuse=1", False),  # loopback: at work already
        (remedy(1, address="192.0.2.7"), "sysctl -w net.ipv4.tcp_tw_reuse=1", False),
        (remedy(2, kernel="6.18.44"), "sysctl -w net.ipv4.tcp_tw_reuse_delay=100", True),
        (remedy(1, kernel="6.14.0", tcp_tw_reuse_delay=[500]), "sysctl -w net.ipv4.tcp_tw_reuse_delay=100", True),
        # At 100 ms already: nothing left there but the server's sysctl, which does nothing.
        (
            remedy(1, kernel="6.14.0", tcp_tw_reuse_delay=[100]),
            "sysctl -w net.ipv4.tcp_tw_reuse=1   # on the server",
            False,
        ),
        (
            remedy(1, tcp_timestamps=[0]),
            "sysctl -w net.ipv4.tcp_timestamps=1 net.ipv4.tcp_tw_reuse=1   # on the client",
            True,
        ),
    ],
)
def test_what_to_do_about_reuse(found: tuple[str, bool], command: str, works: bool) -> None:
    assert found == (command, works)


@pytest.mark.parametrize(("reuse", "ceiling"), [(0, 10 / 60), (1, 10.0), (2, 10.0)])
def test_the_ceiling_is_ports_by_wait(reuse: int, ceiling: float) -> None:
    before = runs.snapshot(sysctls={"net.ipv4.tcp_tw_reuse": [reuse]})
    use = runs.ports(used=10, worst_source_used=10, time_wait=10, capacity=10)
    run = runs.run("churn", failures=NONE_FREE, client={"port_use": use, "before": before})
    found = next(e for e in alone("time_wait_port_exhaustion", run).evidence if e.source == "kernel rule")
    assert found.threshold == pytest.approx(ceiling)


def test_what_does_nothing_is_said() -> None:
    found = {r.command: r.works for r in alone("time_wait_port_exhaustion", runs.churned_out()).remedies}
    assert found["keep connections open and reuse them: a connection pool, HTTP keep-alive"]
    assert not found["sysctl -w net.ipv4.tcp_fin_timeout=10"]
    assert not found["sysctl -w net.ipv4.tcp_tw_reuse=1   # on the server"]
    found = {r.command: r.works for r in alone("ephemeral_port_exhaustion", runs.range_full()).remedies}
    assert not found["sysctl -w net.ipv4.tcp_tw_reuse=1"]


def test_a_range_that_is_wide_already_is_not_widened() -> None:
    wide = with_ports(capacity=64_512, used=64_512, worst_source_used=64_512)
    assert not any("ip_local_port_range" in r.command for r in alone("ephemeral_port_exhaustion", wide).remedies)


# Ports that bind() owns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.poisoned(), "confirmed"),
        (runs.run(), "ruled_out"),
        (with_ports(None, bound=50, used=50, worst_source_used=50), "confirmed"),
        (with_ports(None, bound=49, used=51, worst_source_used=51), "ruled_out"),
        (with_ports(None, bound=50, used=44, worst_source_used=44), "possible"),  # the rest was not seen full
        (with_ports(None, bound=90, used=0, worst_source_used=0), "confirmed"),
        (with_ports(None, bound=100, used=0, worst_source_used=0), "confirmed"),
        # What was asked for would have fitted, were it not for bind().
        (with_ports(95, bound=10, used=90, worst_source_used=90), "confirmed"),
        (with_ports(90, bound=10, used=90, worst_source_used=90), "ruled_out"),
        (with_ports(101, bound=10, used=90, worst_source_used=90), "ruled_out"),
        (with_ports(95, bound=9, used=91, worst_source_used=91), "ruled_out"),
        # A listener's own port in a range of ten is no poison.
        (with_ports(10, capacity=10, bound=1, used=9, worst_source_used=9), "ruled_out"),
        (with_ports(None, bound=None, used=100), "ruled_out"),
        (with_ports(None, bound=None, used=10, worst_source_used=10), "possible"),
        (with_ports(None, capacity=None), "not_observed"),
    ],
)
def test_ports_that_bind_owns(run: RunResult, expected: str) -> None:
    assert alone("bound_ports_poisoned", run).verdict == expected
