"""Two snapshots of a client's host whose SYNs nobody answers: what may be, never what is."""

from __future__ import annotations

import pytest
from tests.diagnose import runs

from estab.diagnose.snapshots import judge_snapshots
from estab.records import Snapshot


def verdicts(
    again: int, begun: int = 60, waiting: tuple[int | None, int | None] = (30, 30), refused: int = 0
) -> tuple[str, str]:
    """What is said of path_filtered and of path_syn_loss, where nobody is named."""
    moved = {"TcpExt.TCPSynRetrans": again, "Tcp.ActiveOpens": begun, "TcpExt.ListenDrops": refused}
    before = runs.snapshot(counters=runs.COUNTERS, states=_states(waiting[0]))
    after = before.replace(
        taken_at_s=4.0,
        counters={name: value + moved.get(name, 0) for name, value in runs.COUNTERS.items()},
        states=_states(waiting[1]),
    )
    return _of(before, after)


def _states(waiting: int | None) -> dict[str, int] | None:
    return None if waiting is None else {"ESTAB": 4, "SYN-SENT": waiting}


def _of(before: Snapshot | None, after: Snapshot) -> tuple[str, str]:
    said = judge_snapshots(before, after)
    assert said.cause is None
    each = {suspect.cause: suspect.verdict for suspect in said.suspects}
    return each["path_filtered"], each["path_syn_loss"]


def test_connects_that_nobody_answers() -> None:
    assert verdicts(again=85) == ("possible", "ruled_out")  # more SYNs again than connects: no chance
    assert verdicts(again=60) == ("possible", "ruled_out")
    assert verdicts(again=59) == ("possible", "possible")
    assert verdicts(again=60, waiting=(None, 4))[0] == "possible"  # a live view counts them now and then
    assert verdicts(again=60, waiting=(None, None))[0] == "not_observed"
    assert verdicts(again=3, waiting=(0, 4)) == ("ruled_out", "possible")
    assert verdicts(again=3, waiting=(4, 0)) == ("ruled_out", "possible")


@pytest.mark.parametrize("again", [0, 2])
def test_a_syn_or_two_is_nothing(again: int) -> None:
    assert verdicts(again=again) == ("ruled_out", "ruled_out")


@pytest.mark.parametrize(("refused", "expected"), [(42, "possible"), (43, "ruled_out")])
def test_clients_of_a_listener_of_the_same_host(refused: int, expected: str) -> None:
    assert verdicts(again=85, refused=refused)[0] == expected


def test_one_snapshot_or_none_that_counts_shows_nothing() -> None:
    assert _of(None, runs.snapshot(counters=runs.COUNTERS)) == ("not_observed", "not_observed")
    blind = runs.snapshot(counters=None)
    assert _of(blind, blind.replace(taken_at_s=4.0)) == ("not_observed", "not_observed")
