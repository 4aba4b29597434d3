from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.resets import FIN_FIRST, mixed, server

from estab.records import RunResult


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


@pytest.mark.parametrize(
    ("linear", "timeout_s", "patience"),
    [
        ([4], 5.0, None),  # 214 more need two volleys of 129: 1 and 2 s
        ([4], 2.0, "a connect timeout above 2 s"),
        ([0], 5.0, None),  # 1 and 3 s
        ([0], 3.0, "a connect timeout above 3 s"),
        ([0], 0, None),  # they leave it to the kernel
    ],
)
def test_without_cookies_clients_wait_for_the_syn_that_finds_room(
    linear: list[int], timeout_s: float, patience: str | None
) -> None:
    client = {"before": runs.snapshot(sysctls={"net.ipv4.tcp_syn_linear_timeouts": linear})}
    run = runs.reset_by_cookies(client=client, config={"timeout_s": timeout_s})
    [remedy] = [remedy for remedy in alone("cookie_reset", run).remedies if "tcp_syncookies=0" in remedy.command]
    assert remedy.works
    assert (patience is None) or remedy.command.endswith(f"{patience} at the clients")
    assert [change.kind for change in remedy.changes] == ["sysctl", "timeout"][: 1 if patience is None else 2]


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("cookie_reset", runs.run()).verdict == "ruled_out"
