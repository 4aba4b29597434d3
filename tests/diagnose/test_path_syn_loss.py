from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import TURNED_AWAY, impatient, lost

from estab.records import RunResult

GAVE_UP = runs.failure("connect", "own_timeout", 2, 3.0)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.lossy(0), "ruled_out"),
        (runs.lossy(1), "possible"),
        (runs.lossy(2), "possible"),
        (runs.lossy(3), "confirmed"),
        (runs.lossy(server=runs.remote()), "possible"),
        (runs.lossy(server=TURNED_AWAY), "ruled_out"),
        # Of two that timed out one's last SYN arrived as it gave up: the server has one more than connected.
        (runs.lossy(funnel=runs.funnel(402, 400), failures=[GAVE_UP], server=runs.untouched(401)), "confirmed"),
        (runs.lossy(1, funnel=runs.funnel(402, 400), failures=[GAVE_UP], server=runs.untouched(401)), "ruled_out"),
        (lost(150, server=runs.remote(), config={"timeout_s": 0.5}, client={}), "not_observed"),
        (runs.table_full(), "ruled_out"),
        (runs.dropped(), "ruled_out"),
        (lost(150, **impatient(100, then=200)), "possible"),  # by chance, or always the same flows
        (lost(150, **impatient(100)), "ruled_out"),
        (runs.table_full(server=runs.remote()), "ruled_out"),
    ],
)
def test_loss_by_chance(run: RunResult, expected: str) -> None:
    assert alone("path_syn_loss", run).verdict == expected


@pytest.mark.parametrize(
    ("linear", "starts", "needed"), [(4, "1, 2, 3", "(2 retransmitted)"), (0, "1, 3, 7", "(1 retransmitted)")]
)
def test_the_latency_bands_follow_the_clients_sysctl(linear: int, starts: str, needed: str) -> None:
    before = runs.snapshot(sysctls={"net.ipv4.tcp_syn_linear_timeouts": [linear]})
    suspect = alone("path_syn_loss", runs.lossy(client={**runs.sent_again(20), "before": before}))
    text = next(e.text for e in suspect.evidence if e.field == "connect_us")
    assert f"begin at {starts} s" in text
    assert needed in text


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("path_syn_loss", runs.run()).verdict == "ruled_out"
