"""Orphans of the machine against what the server's own namespace aborted. Made: the limit is the whole machine's."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.test_tcp_memory_exhausted import UNSHOWN, host

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import RunResult, Snapshot


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.orphaned(), "confirmed"),
        (runs.orphaned(32_769), "confirmed"),
        (runs.orphaned(8_193), "confirmed"),  # one whose peer is silent counts four times
        (runs.orphaned(8_192), "possible"),
        (runs.orphaned(aborted=51), "confirmed"),
        (runs.orphaned(aborted=50), "possible"),
        (runs.orphaned(aborted=0), "ruled_out"),  # a neighbour's orphans: nothing was aborted here
        (runs.orphaned(aborted=None), "not_observed"),
        (runs.orphaned(pages=181_000), "possible"),
        (runs.orphaned(12, pages=181_000), "ruled_out"),
        (runs.orphaned(12), "possible"),  # between two looks
        (runs.orphaned(limits=UNSHOWN), "possible"),
        (runs.orphaned(server=runs.remote()), "not_observed"),
        (runs.orphaned(resets=0, aborted=500), "ruled_out"),
        (runs.orphaned(resets=0, stalled=50), "ruled_out"),  # what is aborted is reset, and does not hang
        (runs.cut_short(), "ruled_out"),
        (runs.run(), "ruled_out"),
        (runs.healthy_churn(), "ruled_out"),
    ],
)
def test_sockets_that_were_aborted_at_close(run: RunResult, expected: str) -> None:
    assert alone("too_many_orphans", run).verdict == expected


def test_resets_of_another_kind_are_not_charged_to_it() -> None:
    """The machine has too many orphans, and the server closes with data unread: its kernel says which it was."""
    crowded = runs.orphaned().server
    counted = runs.deltas(TCPAbortOnClose=100, Tcp_OutRsts=100)
    run = runs.cut_short(server=runs.local(before=crowded.before, after=crowded.after, deltas=counted))
    said = judge(run)
    assert said.cause == "closed_with_data_unread"
    assert {s.cause: s.verdict for s in said.suspects}["too_many_orphans"] == "ruled_out"
    assert {s.cause: s.verdict for s in judge(runs.orphaned()).suspects}["closed_with_data_unread"] == "ruled_out"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, host(9.0, 4_000, 32_769), "confirmed"),
        (None, host(9.0, 4_000, 32_768), "ruled_out"),
        (None, host(9.0, 4_000, 32_769, shown=False), "not_observed"),
        (host(1.0, 4_000), host(9.0, 4_000, 9_000, aborted=7), "confirmed"),
        (host(1.0, 4_000), host(9.0, 4_000, 100, aborted=7), "possible"),
        (host(1.0, 4_000, shown=False), host(9.0, 4_000, 100, aborted=7, shown=False), "possible"),
        (host(1.0, 4_000), host(9.0, 181_000, 100, aborted=7), "ruled_out"),
        (host(1.0, 4_000), host(9.0, 4_000, 100), "ruled_out"),
    ],
)
def test_a_host_without_a_run(before: Snapshot | None, after: Snapshot, expected: str) -> None:
    suspects = judge_snapshots(before, after).suspects
    assert next(s.verdict for s in suspects if s.cause == "too_many_orphans") == expected
