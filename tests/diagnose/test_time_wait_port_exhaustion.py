from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.local_ports import HELD, NONE_FREE

from estab.records import RunResult


@pytest.mark.parametrize(("run", "expected"), [(run, time_wait) for run, _, time_wait in HELD])
def test_ports_held_by_time_wait(run: RunResult, expected: str) -> None:
    assert alone("time_wait_port_exhaustion", run).verdict == expected


def test_the_time_wait_that_hold_leaves_behind_came_after_its_failures() -> None:
    assert alone("time_wait_port_exhaustion", runs.range_full()).verdict == "ruled_out"


def test_time_wait_towards_others_is_not_blamed() -> None:
    """The timeline counts the whole namespace's: 4,000 of another program's are none of this target's."""
    timeline = [runs.point(0.1, attempted=20, connected=10, failed=10, open=10, time_wait=4000)]
    assert alone("time_wait_port_exhaustion", runs.range_full(timeline=timeline)).verdict == "ruled_out"


def test_failures_before_the_first_sample_count() -> None:
    timeline = [runs.point(0.1, attempted=50, connected=10, failed=40, time_wait=10)]
    assert alone("time_wait_port_exhaustion", runs.churned_out(timeline=timeline)).verdict == "confirmed"


def test_churn_in_ten_ports() -> None:
    assert alone("time_wait_port_exhaustion", runs.churned_out()).verdict == "confirmed"


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
    commands = {r.command: r.works for r in alone("time_wait_port_exhaustion", runs.churned_out()).remedies}
    assert commands["keep connections open and reuse them: a connection pool, HTTP keep-alive"]
    assert not commands["sysctl -w net.ipv4.tcp_fin_timeout=10"]
    assert not commands["sysctl -w net.ipv4.tcp_tw_reuse=1   # on the server"]


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("time_wait_port_exhaustion", runs.run()).verdict == "ruled_out"
